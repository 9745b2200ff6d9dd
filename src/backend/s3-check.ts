import { randomBytes } from "node:crypto";
import { loadClientS3 } from "../system/libraries.ts";
import { BucketCheck, type BucketFinding, type CheckOptions, LARGEST_PART } from "./s3-bucket.ts";
import type { S3Settings } from "./s3-settings.ts";

export type { BucketFinding } from "./s3-bucket.ts";

/**
 * Does to each bucket what the backend will do: a multipart upload, HeadObject, GetObject, DeleteObject, below a prefix
 * like its own. A start alone proves nothing: the backend makes its first request with the first deploy (contract 1.9).
 * @returns what is wrong, at most one error a bucket; an object of ours is left only where a warning says so
 */
export async function checkBuckets(settings: S3Settings, options: CheckOptions): Promise<BucketFinding[]> {
  const { keys } = settings;
  if (keys === undefined) throw new Error("buckets cannot be checked without keys");
  const library = await loadClientS3();
  const endpoint = options.endpoint ?? settings.endpoint;
  const client = new library.S3Client({
    region: settings.region,
    credentials: keys,
    forcePathStyle: settings.pathStyle,
    requestChecksumCalculation: settings.requestChecksums,
    responseChecksumValidation: settings.responseChecksums,
    requestHandler: { connectionTimeout: 10_000, requestTimeout: 60_000 },
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
  });
  const content = randomBytes(LARGEST_PART);
  try {
    const checks = settings.buckets.map((bucket) =>
      new BucketCheck({ library, client, settings, content }, bucket, options).run(),
    );
    return (await Promise.all(checks)).flat();
  } finally {
    client.destroy();
  }
}

import { randomUUID } from "node:crypto";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "vitest";
import { S3Store } from "../../../src/store/s3.ts";
import { type S3Server, startS3 } from "../../support/s3.ts";
import { conformance } from "./conformance.ts";
import { storeDeps } from "./support.ts";

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const MIB = 1024 * 1024;

function open(bucket: string, prefix = "prod"): S3Store {
  return new S3Store(
    {
      bucket,
      prefix,
      endpoint: server.endpoint,
      region: server.region,
      forcePathStyle: true,
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    },
    storeDeps(),
    { sizes: { first: 5 * MIB, even: 2, later: 6 * MIB }, parallel: 2 },
  );
}

async function bucketOf(options: { readonly lock?: boolean } = {}): Promise<string> {
  const bucket = `b-${randomUUID()}`;
  await server.client.send(
    new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: options.lock === true }),
  );
  return bucket;
}

conformance("S3", { boundary: 5 * MIB }, async () => {
  const bucket = await bucketOf();
  return { store: open(bucket), other: open(bucket) };
});

conformance("S3 with versions and object lock, at the bucket's root", { boundary: 5 * MIB }, async () => {
  const bucket = await bucketOf({ lock: true });
  return { store: open(bucket, ""), other: open(bucket, "") };
});

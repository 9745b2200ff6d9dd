import { crc32 } from "node:zlib";
import type { S3Client } from "@aws-sdk/client-s3";
import { crcText } from "./checksum.ts";
import { unsupported } from "./faults.ts";
import { faultOf } from "./s3-errors.ts";

type Sdk = typeof import("@aws-sdk/client-s3");
type Target = { readonly Bucket: string; readonly Key: string };

/** An object of its own in each destination, to see whether the store refuses to overwrite. */
export const PROBE = ".convex-selfhost-backups";
const PROBE_TEXT =
  "Backups of a self-hosted Convex deployment lie here. Each backup writes this file anew, and goes on only when the store refuses that.\n";

/**
 * Sees that the store refuses to overwrite: the second of two equal conditional writes must be refused. A store that
 * ignores the condition would overwrite silently.
 * @throws ActionError `store-unsupported`; what the SDK throws
 */
export async function probe(sdk: Sdk, client: S3Client, target: Target, location: string): Promise<void> {
  if ((await isRefused(sdk, client, target)) || (await isRefused(sdk, client, target))) return;
  throw unsupported(
    location,
    "write conditionally: it overwrites an object although it was asked not to (If-None-Match: *)",
    "Update the store, or use one that knows conditional writes, as AWS S3, Cloudflare R2, MinIO and Ceph do in recent versions.",
  );
}

async function isRefused(sdk: Sdk, client: S3Client, target: Target): Promise<boolean> {
  try {
    await client.send(
      new sdk.PutObjectCommand({
        ...target,
        Body: Buffer.from(PROBE_TEXT),
        ChecksumCRC32: crcText(crc32(PROBE_TEXT)),
        ContentType: "text/plain",
        IfNoneMatch: "*",
      }),
    );
    return false;
  } catch (failure) {
    const { status } = faultOf(failure);
    // 409: another job writes it in this moment.
    if (status === 412 || status === 304 || status === 409) return true;
    throw failure;
  }
}

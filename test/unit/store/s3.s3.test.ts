import { conformance } from "./conformance.ts";
import { type Bucket, bucketOf } from "./s3-bucket.ts";

const MIB = 1024 * 1024;

async function subject(bucket: Promise<Bucket>) {
  const { open } = await bucket;
  return { store: open(), other: open() };
}

conformance("S3", { boundary: 5 * MIB }, () => subject(bucketOf()));

conformance("S3 with versions and object lock, at the bucket's root", { boundary: 5 * MIB }, () =>
  subject(bucketOf({ lock: true, prefix: "" })),
);

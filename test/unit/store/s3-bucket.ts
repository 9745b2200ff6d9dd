import { randomUUID } from "node:crypto";
import { CreateBucketCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "vitest";
import { S3Store } from "../../../src/store/s3.ts";
import type { S3Settings } from "../../../src/store/s3-client.ts";
import { type S3Server, startS3 } from "../../support/s3.ts";
import { storeDeps } from "./support.ts";

const MIB = 1024 * 1024;

/** Small parts; the third and later ones wait on the disk. */
export const SMALL = { sizes: { first: 5 * MIB, even: 2, later: 6 * MIB }, parallel: 2 };

export interface Bucket {
  readonly name: string;
  readonly settings: S3Settings;
  /** A store over it; `changes` replace its settings. */
  open(changes?: Partial<S3Settings>, deps?: ReturnType<typeof storeDeps>): S3Store;
  /** Keys of multipart uploads that are not finished. */
  unfinished(): Promise<string[]>;
}

let server: S3Server | undefined;
beforeAll(async () => {
  server = await startS3();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

/** The server of this test file. */
export function s3(): S3Server {
  if (server === undefined) throw new Error("the S3 server does not run");
  return server;
}

/** A fresh bucket. */
export async function bucketOf(
  options: { readonly lock?: boolean; readonly prefix?: string; readonly server?: S3Server } = {},
): Promise<Bucket> {
  const { client, endpoint, region, accessKeyId, secretAccessKey } = options.server ?? s3();
  const name = `b-${randomUUID()}`;
  await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: options.lock === true }));
  const settings: S3Settings = {
    bucket: name,
    prefix: options.prefix ?? "prod",
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  };
  return {
    name,
    settings,
    open: (changes = {}, deps = storeDeps()) => new S3Store({ ...settings, ...changes }, deps, SMALL),
    unfinished: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: name }));
      return Uploads.map(({ Key = "" }) => Key);
    },
  };
}

import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StepResult } from "../support/job.ts";
import { type S3Server, startS3 } from "../support/s3.ts";
import { BackupScene, codeOf } from "./backup-support.ts";

const DAYS = 3;
let s3: S3Server;
let scene: BackupScene;

beforeAll(async () => {
  [s3, scene] = await Promise.all([startS3(), BackupScene.create(1)]);
  await s3.client.send(new CreateBucketCommand({ Bucket: "locking", ObjectLockEnabledForBucket: true }));
  await s3.client.send(new CreateBucketCommand({ Bucket: "plain" }));
}, 60_000);
afterAll(async () => {
  await Promise.all([scene[Symbol.asyncDispose](), s3[Symbol.asyncDispose]()]);
});

async function backUp(bucket: string, more: Readonly<Record<string, string>> = {}): Promise<StepResult> {
  const store = { "s3-endpoint": s3.endpoint, "s3-region": s3.region, "s3-force-path-style": "true" };
  const inputs = { destination: `s3://${bucket}/p`, ...store, "object-lock-days": String(DAYS), ...more };
  return (await scene.run({ inputs, env: s3.env })).main;
}

/** Keys of objects that a reader sees, those of the store's own probe aside. */
async function visible(bucket: string): Promise<string[]> {
  const { Versions = [] } = await s3.client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: "p/2" }));
  return Versions.filter(({ IsLatest }) => IsLatest).map(({ Key = "" }) => Key);
}

describe("object-lock-days", { timeout: 120_000 }, () => {
  it("locks every object of a backup, and retention says what it could not remove, and until when", async () => {
    const first = await backUp("locking");
    expect(first.exitCode, first.log).toBe(0);
    const id = first.outputs.get("backup-id") ?? "";
    const keys = (await visible("locking")).filter((key) => key.startsWith(`p/${id}/`));
    expect(keys).toEqual(["env.json.age", "manifest.json", "snapshot.zip.age"].map((name) => `p/${id}/${name}`));
    for (const Key of keys) {
      const head = await s3.client.send(new HeadObjectCommand({ Bucket: "locking", Key }));
      expect(head.ObjectLockMode).toBe("GOVERNANCE");
      const days = (Number(head.ObjectLockRetainUntilDate) - Date.now()) / 86_400_000;
      expect(days).toBeGreaterThan(DAYS - 0.1);
      expect(days).toBeLessThanOrEqual(DAYS);
      const version = { Bucket: "locking", Key, VersionId: head.VersionId };
      await expect(s3.client.send(new DeleteObjectCommand(version))).rejects.toThrow(/lock|denied/i);
    }

    const second = await backUp("locking", { "keep-last": "1" });
    expect(second.exitCode, second.log).toBe(0);
    // Neither removed nor hidden behind a marker.
    expect(await visible("locking")).toEqual(expect.arrayContaining(keys));
    const until = new Date(Date.now() + DAYS * 86_400_000).toISOString().slice(0, 10);
    expect(second.log).toMatch(
      new RegExp(`kept: ${id}: no keep-\\* input covers it, but an object lock keeps it: .*until ${until.slice(0, 8)}`),
    );
    expect(second.summary).toContain("Retention: 2 kept, 0 removed");
    expect(second.summary).toContain("an object lock keeps it");
  });

  it("is refused by a bucket without object lock, which then has no backup", async () => {
    const step = await backUp("plain");
    expect(step.exitCode).toBe(1);
    expect(codeOf(step), step.log).toBe("store-unsupported");
    expect(await visible("plain")).toEqual([]);
    expect(scene.openExports()).toBe(0);
  });
});

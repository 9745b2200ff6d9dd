import { CreateBucketCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ListedBackup, listBackups } from "../../src/backup/listing.ts";
import { type PruneRequest, prune, UNFINISHED_MS } from "../../src/backup/prune.ts";
import { S3Store } from "../../src/store/s3.ts";
import { systemClock } from "../../src/system/clock.ts";
import { type S3Server, startS3 } from "../support/s3.ts";
import {
  type HastyRefusal,
  type PassingRequest,
  type Refusal,
  startS3Proxy,
  type Temper,
} from "../support/s3-proxy.ts";
import { collectLog } from "../unit/deployment/support.ts";
import { storeDeps } from "../unit/store/support.ts";
import { BackupScene, codeOf } from "./backup-support.ts";

const KEEP_NONE = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

let s3: S3Server;
let scene: BackupScene;

beforeAll(async () => {
  // 20 MB: three parts.
  [s3, scene] = await Promise.all([startS3(), BackupScene.create(80)]);
}, 60_000);
afterAll(async () => {
  await Promise.all([scene[Symbol.asyncDispose](), s3[Symbol.asyncDispose]()]);
});

/** Answers the second part's uploads before their bodies have come: so many of them, or all. */
function overloaded(then: HastyRefusal["then"], times: number) {
  const seen = { refused: 0 };
  const refuseHead = ({ method, query }: Pick<PassingRequest, "method" | "query">): HastyRefusal | undefined => {
    if (method !== "PUT" || query.get("partNumber") !== "2" || seen.refused === times) return undefined;
    seen.refused += 1;
    return { status: 503, code: "SlowDown", message: "Please reduce your request rate.", then };
  };
  return { seen, refuseHead };
}

const inputsFor = (bucket: string, endpoint: string): Readonly<Record<string, string>> => ({
  destination: `s3://${bucket}/p`,
  "s3-endpoint": endpoint,
  "s3-region": s3.region,
  "s3-force-path-style": "true",
});

/** A fresh bucket, as seen without what stands before it. */
async function newStore(bucket: string): Promise<S3Store> {
  await s3.client.send(new CreateBucketCommand({ Bucket: bucket }));
  const { accessKeyId, secretAccessKey, endpoint, region } = s3;
  const credentials = { accessKeyId, secretAccessKey };
  const place = { bucket, prefix: "p", endpoint, region, forcePathStyle: true, credentials };
  return new S3Store(place, storeDeps());
}

async function backUp(bucket: string, temper: Pick<Temper, "refuseHead">) {
  const store = await newStore(bucket);
  await using proxy = await startS3Proxy(s3.endpoint, temper);
  const { main, post } = await scene.run({ inputs: inputsFor(bucket, proxy.endpoint), env: s3.env });
  expect(post.exitCode, post.log).toBe(0);
  const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  expect(Uploads).toEqual([]);
  expect(scene.openExports()).toBe(0);
  return { main, store };
}

describe.each(["reads on", "closes"] as const)("a store that answers 503 while a part comes, and %s", (then) => {
  const bucket = then.replace(" ", "-");

  it("a few times: the backup is whole", async () => {
    const { seen, refuseHead } = overloaded(then, 2);
    const { main, store } = await backUp(`${bucket}-a-while`, { refuseHead });
    expect(main.exitCode, main.log).toBe(0);
    expect(seen.refused).toBe(2);
    expect(main.log).toContain("an attempt failed");
    expect(await scene.expectSound(store)).toBe(1);
  });

  it("for good: there is no backup, nothing of one, and the error says why", async () => {
    const { refuseHead } = overloaded(then, Number.POSITIVE_INFINITY);
    const { main, store } = await backUp(`${bucket}-for-good`, { refuseHead });
    expect([main.exitCode, codeOf(main)], main.log).toEqual([1, "store-unreachable"]);
    if (then === "reads on") expect(main.log).toMatch(/::error::.*it is overloaded \(.*reduce your request rate/i);
    expect(await store.list()).toEqual([]);
  });
});

describe("a backup that is half removed when its job is killed", () => {
  /** Kills the job between the first object of an older backup, its manifest, and the second. */
  async function killBetween(bucket: string): Promise<void> {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const refuse = ({ method, path }: PassingRequest): Refusal | undefined => {
      if (method !== "DELETE" || path.endsWith("/manifest.json")) return undefined;
      resolve();
      return { status: 503, code: "SlowDown", message: "Please reduce your request rate." };
    };
    await using proxy = await startS3Proxy(s3.endpoint, { refuse });
    const inputs = { ...inputsFor(bucket, proxy.endpoint), "keep-last": "1" };
    const { main, post } = await scene.run({ inputs, env: s3.env, killWhen: { reached, signal: "SIGKILL" } });
    expect(main.exitCode, main.log).toBe(137);
    expect(post.exitCode, post.log).toBe(0);
    expect(post.log).toContain("is complete and verified");
  }

  const removed = ({ id }: ListedBackup) => [id, "removed", "it has no manifest: a job was ended while it wrote"];

  it("stays while a job may be writing it, and goes with the next backup a day later", async () => {
    const store = await newStore("half-removed");
    const first = await scene.run({ inputs: inputsFor("half-removed", s3.endpoint), env: s3.env });
    expect(first.main.exitCode, first.main.log).toBe(0);
    await killBetween("half-removed");
    const [whole, half, ...others] = await listBackups(store);
    if (whole === undefined || half === undefined) throw new Error("both backups are to be there");
    expect([whole.complete, half.complete, others]).toEqual([true, false, []]);
    expect(half.id).toBe(first.main.outputs.get("backup-id"));

    const inputs = { ...inputsFor("half-removed", s3.endpoint), "keep-last": "1" };
    const next = await scene.run({ inputs, env: s3.env });
    expect(next.main.exitCode, next.main.log).toBe(0);
    expect(next.main.log).toContain(`kept: ${half.id}: it has no manifest yet: a job may be writing it`);
    const newest = next.main.outputs.get("backup-id") ?? "";
    expect((await listBackups(store)).map(({ id }) => id)).toEqual([newest, half.id]);

    const request: PruneRequest = { rule: { ...KEEP_NONE, last: 1 }, mode: "apply", strange: async () => undefined };
    const tomorrow = { now: () => Date.now() + UNFINISHED_MS + 60_000, sleep: systemClock.sleep };
    const { lines } = await prune(store, request, { clock: tomorrow, log: collectLog().log });
    expect(lines.map(({ id, action, reasons }) => [id, action, ...reasons]).slice(1)).toEqual([removed(half)]);
    expect((await listBackups(store)).map(({ id }) => id)).toEqual([newest]);
    expect(await scene.expectSound(store)).toBe(1);
  });
});

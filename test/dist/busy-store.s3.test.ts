import { CreateBucketCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { S3Store } from "../../src/store/s3.ts";
import { type S3Server, startS3 } from "../support/s3.ts";
import { type HastyRefusal, type PassingRequest, startS3Proxy } from "../support/s3-proxy.ts";
import { storeDeps } from "../unit/store/support.ts";
import { BackupScene, codeOf } from "./backup-support.ts";

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

async function backUp(bucket: string, temper: Pick<ReturnType<typeof overloaded>, "refuseHead">) {
  await s3.client.send(new CreateBucketCommand({ Bucket: bucket }));
  await using proxy = await startS3Proxy(s3.endpoint, temper);
  const inputs = {
    destination: `s3://${bucket}/p`,
    "s3-endpoint": proxy.endpoint,
    "s3-region": s3.region,
    "s3-force-path-style": "true",
  };
  const { main, post } = await scene.run({ inputs, env: s3.env });
  expect(post.exitCode, post.log).toBe(0);
  const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  expect(Uploads).toEqual([]);
  expect(scene.openExports()).toBe(0);
  const { accessKeyId, secretAccessKey, endpoint, region } = s3;
  const credentials = { accessKeyId, secretAccessKey };
  const place = { bucket, prefix: "p", endpoint, region, forcePathStyle: true, credentials };
  return { main, store: new S3Store(place, storeDeps()) };
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

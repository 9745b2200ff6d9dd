import { randomBytes } from "node:crypto";
import { CreateBucketCommand, ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listBackups } from "../../../src/backup/listing.ts";
import { fetchManifest } from "../../../src/backup/manifest-reader.ts";
import { decrypt } from "../../../src/snapshot/encrypt.ts";
import { parseDestination } from "../../../src/store/destination.ts";
import { openStore } from "../../../src/store/open.ts";
import type { Store } from "../../../src/store/store.ts";
import { filesOf } from "../../standin/files.ts";
import { type S3Server, startS3 } from "../../support/s3.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { all, failure, type World, world } from "./world.ts";

let s3: S3Server;
let here: World;
let proxy: TcpProxy;
beforeEach(async () => {
  [s3, here] = await Promise.all([startS3(), world()]);
  await s3.client.send(new CreateBucketCommand({ Bucket: "backups" }));
  // More than one part of an upload.
  for (let n = 0; n < 5; n += 1) {
    await filesOf(here.standin.backend).store("", randomBytes(8 * 1024 * 1024), "application/octet-stream");
  }
  proxy = await new TcpProxy(s3.port).listen();
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await Promise.all([here[Symbol.asyncDispose](), s3[Symbol.asyncDispose]()]);
});

/** The SDK reads credentials from the process itself. */
function useCredentials(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) process.env[name] = value;
}

const store = (): Store => {
  useCredentials(s3.env);
  const settings = { endpoint: s3.endpoint, region: s3.region, forcePathStyle: true };
  const destination = parseDestination("source", "s3://backups/p", "/");
  return openStore({ destination, ...settings }, { ...here.deps, env: s3.env });
};

const backUp = (endpoint: string, env: Readonly<Record<string, string>> = s3.env): Promise<void> => {
  useCredentials(env);
  return here.backUp(
    { destination: "s3://backups/p", "s3-endpoint": endpoint, "s3-region": s3.region, "s3-force-path-style": "true" },
    { env: { ...here.deps.env, ...env } },
  );
};

async function openParts(): Promise<number> {
  const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: "backups" }));
  return Uploads.length;
}

async function expectOneWhole(): Promise<void> {
  const backups = await listBackups(store());
  expect(backups.map(({ complete }) => complete)).toEqual([true]);
  const id = backups[0]?.id ?? "";
  const { snapshot } = await fetchManifest(store(), id);
  expect(snapshot).toMatchObject({ documents: 41, files: 6 });
  const zip = await all(decrypt(store().get(`${id}/snapshot.zip.age`), [here.identity]));
  expect(zip.length).toBe(snapshot.bytes);
}

describe("a backup to a bucket", () => {
  it("is whole, and leaves no parts", async () => {
    await backUp(s3.endpoint);
    await expectOneWhole();
    expect(await openParts()).toBe(0);
  });

  it("gets over a connection that breaks in the middle of a part", async () => {
    let cuts = 0;
    proxy.meddle = (_, { direction, request, before }) => {
      if (direction === "up" && request.includes("partNumber=2") && before > 1_000_000 && cuts < 1) {
        cuts += 1;
        return "cut";
      }
      return "pass";
    };
    await backUp(proxy.url);
    expect(cuts).toBe(1);
    await expectOneWhole();
  });

  it("that never gets through fails, and leaves nothing", async () => {
    proxy.meddle = (_, { direction, request }) =>
      direction === "up" && request.includes("partNumber=") ? "cut" : "pass";
    const error = await failure(backUp(proxy.url));
    expect(error.code).toBe("store-unreachable");
    expect(await listBackups(store())).toEqual([]);
    expect(await openParts()).toBe(0);
  }, 240_000);

  it("with wrong credentials fails before anything is stored", async () => {
    const error = await failure(backUp(s3.endpoint, { ...s3.env, AWS_SECRET_ACCESS_KEY: "not-the-secret-of-it" }));
    expect(error.code).toBe("store-refused");
    expect(here.exports()).toEqual([]);
    expect(await listBackups(store())).toEqual([]);
  });
});

/** The backup action in a whole workflow, to a folder and to a real S3 server. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { describe, expect } from "vitest";
import { fetchManifest } from "../../src/backup/manifest-reader.ts";
import { parseSettings } from "../../src/backup/settings.ts";
import { decrypt, parseIdentities } from "../../src/snapshot/encrypt.ts";
import { parseDestination } from "../../src/store/destination.ts";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import { startS3 } from "../support/s3.ts";
import { all } from "../unit/backup/world.ts";
import { storeDeps } from "../unit/store/support.ts";
import { expectNoLeaks, expectNothingLeft, runtimes, sentinels, start, test } from "./support.ts";

const run = promisify(execFile);

/** Decrypts every object of a backup with the key and compares it with the manifest. */
async function expectWhole(store: Store, id: string, identities: readonly string[]): Promise<void> {
  const manifest = await fetchManifest(store, id);
  expect(manifest.snapshot.documents).toBeGreaterThan(0);
  for (const { name, bytes, plain } of manifest.objects) {
    const stored = await all(store.get(`${id}/${name}`));
    expect(stored.length).toBe(bytes);
    const opened = await all(decrypt(store.get(`${id}/${name}`), identities));
    expect(opened.length).toBe(plain.bytes);
  }
}

describe("the backup action", () => {
  test("backs up to a folder and to a bucket, and only the key's owner reads it", async ({ before }) => {
    await using s3 = await startS3();
    await s3.client.send(new CreateBucketCommand({ Bucket: "backups" }));
    const folder = await mkdtemp(join(tmpdir(), "backups-"));
    const key = join(folder, "backup.key");
    await run("age-keygen", ["-o", key]);
    const identities = parseIdentities(await readFile(key, "utf8"));
    const recipient = (await run("age-keygen", ["-y", key])).stdout.trim();
    const secrets = { ...sentinels, S3_SECRET: s3.secretAccessKey };
    const workflow = await start(
      {
        ...runtimes.binary(),
        BACKUPS: join(folder, "b"),
        RECIPIENT: recipient,
        KEY_FILE: key,
        S3_ENDPOINT: s3.endpoint,
        S3_KEY_ID: s3.accessKeyId,
      },
      { workflow: "backup.yml", secrets },
    );
    expect(workflow.exitCode, workflow.log).toBe(0);
    expect(workflow.results("bucket")).toEqual(["success"]);
    expect(workflow.output("what only the key's owner can read").trim()).toBe("3");

    const settings = { endpoint: s3.endpoint, region: s3.region, forcePathStyle: true };
    const open = (destination: string): Store =>
      openStore({ destination: parseDestination("source", destination, "/"), ...settings }, storeDeps(s3.env));
    const [local, remote] = [open(`dir:${join(folder, "b")}`), open("s3://backups/convex")];
    const id = workflow.outputs("folder")["backup-id"] ?? "";
    await expectWhole(local, id, identities);
    await expectWhole(remote, workflow.outputs("bucket")["backup-id"] ?? "", identities);
    const bundle = parseSettings(await all(decrypt(local.get(`${id}/env.json.age`), identities)), id);
    expect(bundle.variables?.get("OPENAI_API_KEY")).toBe(sentinels.OPENAI_API_KEY);
    expect(workflow.summary).toContain("Backup made and verified");
    expectNoLeaks(workflow, "convex", { ...secrets, identity: identities[0] ?? "" });
    await expectNothingLeft(workflow, before);
    await rm(folder, { recursive: true, force: true });
  });
});

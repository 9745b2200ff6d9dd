/** Backups brought back, as a user would: restore, drill, rehearsal, in whole workflows. */
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { beforeAll, describe, expect } from "vitest";
import { FakeArtifacts } from "../support/artifacts.ts";
import { startS3 } from "../support/s3.ts";
import { filesInRunnerTemp } from "./harness/leftovers.ts";
import { world } from "./harness/world.ts";
import { expectNoLeaks, runtimes, sentinels, start, test } from "./support.ts";

let identity: string;
let recipient: string;

beforeAll(async () => {
  identity = await generateIdentity();
  recipient = await identityToRecipient(identity);
});

/** What goes wrong one day, and what the operator asks afterwards. */
const files = {
  "convex/accident.ts": `import { internalMutation, internalQuery } from "./_generated/server";
export const happen = internalMutation({
  args: {},
  handler: async (ctx) => {
    for (const { _id } of await ctx.db.query("rooms").collect()) await ctx.db.delete(_id);
    await ctx.db.insert("rooms", { name: "Oops" });
  },
});
export const rooms = internalQuery({ args: {}, handler: async (ctx) => (await ctx.db.query("rooms").collect()).length });
`,
};

const secrets = (more: Record<string, string> = {}) => ({ ...sentinels, BACKUP_IDENTITY: identity, ...more });

/** What stays on purpose: reports and copies of manifests, which later steps may want. */
const kept = /^(convex-(restore|drill|upgrade)-report-|backup-.*\.json$)/;

describe("restore", () => {
  test("brings back from a folder what an accident destroyed, and keeps what it replaces", async ({ before }) => {
    const keep = mkdtempSync(join(world().scratch, "report-"));
    const vars = {
      ...runtimes.binary(),
      RECIPIENT: recipient,
      SOURCE: "dir:backups",
      SAFETY: "dir:backups",
      KEEP: keep,
    };
    const run = await start(vars, { workflow: "restore.yml", files, secrets: secrets(), timeoutMs: 300_000 });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("refused")["verified"]).toBe("false");
    expect(run.log).toContain("[confirm-missing]");
    expect(run.outputs("restored")).toMatchObject({ verified: "true" });
    expect(JSON.parse(readFileSync(join(keep, "report.json"), "utf8"))).toMatchObject({
      kind: "restore",
      verdict: "passed",
      checks: [{ ok: true }, { ok: true }],
    });
    expect(run.summary).toContain("Held before");
    expectNoLeaks(run, "convex", secrets());
    expect(await before.leftovers(), run.log).toEqual([]);
    expect(filesInRunnerTemp(run.home).filter((name) => !kept.test(name))).toEqual([]);
  }, 320_000);

  test("does the same from a bucket", async ({ before }) => {
    const keep = mkdtempSync(join(world().scratch, "report-"));
    {
      await using s3 = await startS3();
      await s3.client.send(new CreateBucketCommand({ Bucket: "backups" }));
      const vars = {
        ...runtimes.binary(),
        RECIPIENT: recipient,
        SOURCE: "s3://backups/convex",
        SAFETY: "s3://backups/before-restore",
        S3_ENDPOINT: s3.endpoint,
        S3_PATH_STYLE: "true",
        KEEP: keep,
      };
      const keys = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
      const run = await start(vars, { workflow: "restore.yml", files, secrets: secrets(keys), timeoutMs: 300_000 });
      expect(run.exitCode, run.log).toBe(0);
      expect(run.outputs("restored")).toMatchObject({ verified: "true" });
      expectNoLeaks(run, "convex", secrets(keys));
    }
    expect(await before.leftovers()).toEqual([]);
  }, 320_000);
});

describe("a drill", () => {
  test("restores into a backend of the same job, and leaves nothing", async ({ before }) => {
    // act has a service for artifacts that the library of GitHub's own actions has outgrown.
    await using github = await new FakeArtifacts("acme/app").listen();
    const { ACTIONS_RUNTIME_TOKEN, ACTIONS_RESULTS_URL, GITHUB_API_URL } = github.env("1");
    const vars = { ...runtimes.binary(), RECIPIENT: recipient };
    const all = secrets({ GITHUB_TOKEN: github.token });
    const run = await start(vars, {
      ...{ workflow: "drill.yml", files, secrets: all, timeoutMs: 300_000 },
      env: { ACTIONS_RUNTIME_TOKEN, ACTIONS_RESULTS_URL, GITHUB_API_URL },
    });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("restored")).toMatchObject({ verified: "true" });
    const { "backup-id": id } = run.outputs("backup");
    expect(github.artifacts.map(({ name }) => name).sort()).toEqual([
      ...["env.json.age", "manifest.json", "snapshot.zip.age"].map((name) => `convex-backup~production~${id}~${name}`),
      expect.stringMatching(/^convex-drill-report-/),
    ]);
    expect(Number(run.outputs("restored")["rto-seconds"])).toBeGreaterThan(0);
    expect(run.summary).toContain("Restore drill of convex-self-hosted");
    expectNoLeaks(run, "convex", all);
    expect(await before.leftovers(), run.log).toEqual([]);
    expect(filesInRunnerTemp(run.home).filter((name) => !kept.test(name))).toEqual([]);
  }, 320_000);
});

const RELEASES = {
  binaries: () => ({ RUNTIME: "binary", FROM_BINARY: world().binary, TO_BINARY: "next" }),
  images: () => ({ RUNTIME: "docker", FROM: world().image.commit, TO: world().image.other.commit }),
};

describe("an upgrade rehearsal", () => {
  for (const [kind, releases] of Object.entries(RELEASES)) {
    test(`of ${kind} takes both roads and ends both backends`, async ({ before }) => {
      const vars = { ...runtimes.binary(), RECIPIENT: recipient, ...releases() };
      const run = await start(vars, { workflow: "upgrade.yml", files, secrets: secrets(), timeoutMs: 300_000 });
      expect(run.exitCode, run.log).toBe(0);
      expect(run.outputs("rehearsal")["safe"], run.log).toBe("both");
      expectNoLeaks(run, "convex", secrets());
      expect(await before.leftovers(), run.log).toEqual([]);
      expect(filesInRunnerTemp(run.home).filter((name) => !kept.test(name))).toEqual([]);
    }, 320_000);
  }
});

/** A preview whose data is in a database of its own on a server that the user names. */
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Job } from "../../support/job.ts";
import { type Cluster, postgresPrograms, startCluster } from "../../unit/backend/postgres.ts";
import { makeProject } from "../harness/act.ts";
import { outsideAddress } from "../harness/sandbox.ts";
import { root } from "../harness/tools.ts";
import { world } from "../harness/world.ts";
import { commitOf, PREVIEW_SECRET, type PreviewHost, pullRequestEvent, startHost } from "./world.ts";

const programs = await postgresPrograms();
let host: PreviewHost;
let cluster: Cluster;

describe.skipIf(programs === undefined)("a preview with postgres-url", () => {
  beforeAll(async () => {
    host = await startHost([9]);
    cluster = await startCluster(programs ?? "", false, outsideAddress);
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    await host.stop();
  });

  const url = (): string => `postgresql://postgres:pg%2Fpass@${outsideAddress}:${cluster.port}`;

  async function databases(): Promise<string[]> {
    const sql = postgres(url(), { max: 1, onnotice: () => undefined });
    try {
      const rows = await sql<{ datname: string }[]>`SELECT datname FROM pg_database WHERE datname LIKE 'convex%'`;
      return rows.map(({ datname }) => datname);
    } finally {
      await sql.end();
    }
  }

  it("has a database of its own, made by up and dropped by down", async () => {
    const project = await makeProject();
    symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
    const pull = host.github.state.open(9, { commit: commitOf(9) });
    const run = async (action: string) => {
      const job = await Job.create(project);
      const file = join(job.directory, "event.json");
      writeFileSync(file, JSON.stringify(pullRequestEvent(host, 9, action).payload));
      const { remote, proxy } = host;
      const inputs = {
        host: remote.host,
        "ssh-key": remote.key,
        "known-hosts": remote.knownHosts,
        domain: "{name}.preview.test",
        "proxy-network": "proxy",
        "preview-secret": PREVIEW_SECRET,
        image: world().image.repository,
        version: world().image.digest,
        deploy: "false",
        comment: "false",
        "github-environment": "none",
        "postgres-url": url(),
        "backend-env": "DO_NOT_REQUIRE_SSL=true",
      };
      const env = {
        GITHUB_REPOSITORY: "acme/app",
        GITHUB_EVENT_NAME: "pull_request",
        GITHUB_EVENT_PATH: file,
        NODE_EXTRA_CA_CERTS: proxy.caFile,
      };
      const result = await job.action("preview", { inputs, env });
      await job.remove();
      expect(result.exitCode, result.log.replace(/^::add-mask::.*\n/gm, "")).toBe(0);
      return result;
    };
    expect((await run("opened")).outputs.get("outcome")).toBe("created");
    expect(await databases()).toEqual([expect.stringMatching(/^convex_preview_[0-9a-f]{8}_pr_9$/)]);
    expect((await run("reopened")).outputs.get("outcome")).toBe("unchanged");
    pull.state = "closed";
    const down = await run("closed");
    expect(JSON.parse(down.outputs.get("removed") ?? "")).toContainEqual(
      expect.stringMatching(/^database convex_preview_/),
    );
    expect(await databases()).toEqual([]);
  });
});

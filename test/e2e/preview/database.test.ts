/** A preview whose data is in a database of its own on a server that the user names. */
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, postgresPrograms, startCluster } from "../../unit/backend/postgres.ts";
import { makeProject } from "../harness/act.ts";
import { outsideAddress } from "../harness/sandbox.ts";
import { commitOf, type PreviewHost, pullRequestEvent, startHost, step } from "./world.ts";

const programs = await postgresPrograms();
let host: PreviewHost;
let cluster: Cluster | undefined;

describe.skipIf(programs === undefined)("a preview with postgres-url", () => {
  beforeAll(async () => {
    host = await startHost([9]);
    // The server's own user may not enter the scratch folder.
    cluster = await startCluster(programs ?? "", false, outsideAddress, "/run");
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    await host.stop();
  });

  const url = (): string => `postgresql://postgres:pg%2Fpass@${outsideAddress}:${cluster?.port}`;

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
    const pull = host.github.state.open(9, { commit: commitOf(9) });
    const run = async (action: string) => {
      const inputs = { "postgres-url": url(), "backend-env": "DO_NOT_REQUIRE_SSL=true", deploy: "false" };
      return await step({ host, project, event: pullRequestEvent(host, 9, action), inputs });
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
  }, 300_000);
});

/** Previews that are reached or kept in other ways: behind Caddy, at ports of the host, with a database elsewhere. One host for all. */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Cluster, postgresPrograms, startCluster } from "../../unit/backend/postgres.ts";
import { folder } from "../docker/support.ts";
import { makeProject } from "../harness/act.ts";
import { docker } from "../harness/engine.ts";
import { push } from "../harness/image.ts";
import { remoteAddress } from "../harness/remote.ts";
import { outsideAddress } from "../harness/sandbox.ts";
import { root } from "../harness/tools.ts";
import { world } from "../harness/world.ts";
import { commitOf, type PreviewHost, pullRequestEvent, startHost, step } from "./world.ts";

const programs = await postgresPrograms();
let host: PreviewHost;
let cluster: Cluster | undefined;
beforeAll(async () => {
  host = await startHost([8, 9], "caddy");
}, 120_000);
afterAll(async () => {
  await host.stop();
});

/** In Node, asked by its own public names: what the app itself calls there. */
const ECHO = `"use node";
import { api } from "./_generated/api";
import { action } from "./_generated/server";

export const roundTrip = action({
  args: {},
  handler: async (ctx) => ({
    cloud: process.env.CONVEX_CLOUD_URL,
    back: (await ctx.runQuery(api.rooms.list, {})).length,
    site: (await (await fetch(process.env.CONVEX_SITE_URL + "/rooms")).json()).length,
  }),
});
`;

/** The backend's image on a host whose certificates are of an authority of its own. */
async function imageThatTrusts(caFile: string): Promise<string> {
  const { repository, digest } = world().image;
  const context = folder();
  const system = readFileSync("/etc/ssl/certs/ca-certificates.crt", "utf8");
  writeFileSync(join(context, "certificates"), system + readFileSync(caFile, "utf8"));
  const bundle = "/etc/ssl/certs/ca-certificates.crt";
  const lines = [`FROM ${repository}@${digest}`, `COPY certificates ${bundle}`, `ENV NODE_EXTRA_CA_CERTS=${bundle}`];
  writeFileSync(join(context, "Dockerfile"), `${lines.join("\n")}\n`);
  await docker("build", "-q", "-t", "trusting:1", context);
  const trusting = await push("trusting:1", `${repository}:trusting`);
  await docker("rmi", "trusting:1");
  return trusting;
}

describe("a preview behind Caddy", () => {
  it("has its certificate from there, websockets, and its own public names inside too", async () => {
    const clean = await host.inventory();
    const project = await makeProject("examples/chat", { "convex/echo.ts": ECHO });
    symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
    const version = await imageThatTrusts(host.proxy.caFile);
    const pull = host.github.state.open(8, { commit: commitOf(8) });
    const inputs = {
      proxy: "caddy",
      version,
      run: 'seed:basic {"rooms": 2}',
      "proxy-network": "",
      typecheck: "disable",
    };
    const up = await step({ host, project, event: pullRequestEvent(host, 8, "opened"), inputs });
    expect(up.outputs.get("url")).toBe("https://pr-8.preview.test");
    expect(up.log).not.toContain("cannot reach itself");

    const client = join(import.meta.dirname, "client.ts");
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: host.proxy.caFile };
    const seen = await systemExec.run(process.execPath, [client, up.outputs.get("url") ?? ""], {
      env,
      timeoutMs: 60_000,
    });
    expect(seen.exitCode, seen.stderr).toBe(0);
    expect(JSON.parse(seen.stdout)).toMatchObject({
      rooms: [{ name: "Room 1" }, { name: "Room 2" }],
      echo: { cloud: "https://pr-8.preview.test", back: 2, site: 2 },
    });

    pull.state = "closed";
    await step({ host, project, event: pullRequestEvent(host, 8, "closed"), inputs });
    expect(await host.inventory()).toEqual(clean);
  }, 300_000);
});

describe("a preview without a proxy", () => {
  it("has addresses of its own that hold inside and outside, over pushes and other settings", async () => {
    const project = await makeProject();
    const clean = await host.inventory();
    const urls = new Set<string>();
    for (const number of [1, 2]) {
      const pull = host.github.state.open(number, { commit: commitOf(number) });
      const inputs = { proxy: "none", deploy: "false", memory: "512m" };
      const up = async (more: Readonly<Record<string, string>> = {}) =>
        await step({ host, project, event: pullRequestEvent(host, number, "opened"), inputs: { ...inputs, ...more } });
      const first = await up();
      const url = first.outputs.get("url") ?? "";
      expect(url).toMatch(new RegExp(`^http://${remoteAddress}:\\d+$`));
      expect((await systemHttp.request(`${url}/instance_name`)).text()).toBe(`pr-${number}`);
      // It asked itself from inside, and found nothing to warn of.
      expect(first.log).not.toContain("cannot reach itself");
      pull.commit = commitOf(number + 10);
      const again = await up({ memory: "600m" });
      expect(again.outputs.get("outcome")).toBe("recreated");
      expect(again.outputs.get("url")).toBe(url);
      urls.add(url);
    }
    expect(urls.size).toBe(2);

    // Three more at once, where two may be: none of those that are being made goes, and a sweep keeps to the limit.
    const few = { proxy: "none", deploy: "false", "max-previews": "2" };
    const ups = [3, 4, 5].map(async (number) => {
      host.github.state.open(number, { commit: commitOf(number) });
      return await step({ host, project, event: pullRequestEvent(host, number, "opened"), inputs: few });
    });
    expect((await Promise.all(ups)).map(({ outputs }) => outputs.get("outcome"))).toEqual(Array(3).fill("created"));
    const names = async (): Promise<string[]> =>
      (await host.inventory()).flatMap((line) => /\bpr-\d+/.exec(line)?.[0] ?? []);
    expect(await names()).not.toContain("pr-1");
    expect(await names()).not.toContain("pr-2");
    const event = pullRequestEvent(host, 5, "synchronize");
    await step({ host, project, event, inputs: { command: "sweep", "max-previews": "2", proxy: "none" } });
    const left = [...new Set(await names())];
    expect(left).toHaveLength(2);
    for (const name of left) {
      const closed = pullRequestEvent(host, Number(name.slice("pr-".length)), "closed");
      await step({ host, project, event: closed, inputs: { command: "down", proxy: "none" } });
    }
    expect(await host.inventory()).toEqual(clean);
  }, 300_000);
});

describe.skipIf(programs === undefined)("a preview with postgres-url", () => {
  beforeAll(async () => {
    // The server's own user may not enter the scratch folder.
    cluster = await startCluster(programs ?? "", false, outsideAddress, "/run");
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
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
      const inputs = {
        proxy: "caddy",
        "postgres-url": url(),
        "backend-env": "DO_NOT_REQUIRE_SSL=true",
        deploy: "false",
      };
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

import { cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Changes, changesOf, type Pushed } from "../../../src/deploy/changes.ts";
import { planEnvironment } from "../../../src/deploy/env-plan.ts";
import { readDeployInputs } from "../../../src/deploy/inputs.ts";
import { readLive } from "../../../src/deploy/live.ts";
import { type Prepared, prepare } from "../../../src/deploy/prepare.ts";
import { pushThrough } from "../../../src/deploy/push.ts";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { systemHttp } from "../../../src/system/http.ts";
import type { Standin } from "../../standin/standin.ts";
import { collectLog, directoryWith, fakeDeps, type Lines } from "../deployment/support.ts";

const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));

export const SCHEMA = `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  rooms: defineTable({ name: v.string() }).index("by_name", ["name"]),
});
`;
export const ROOMS = `import { internalMutationGeneric as internalMutation, queryGeneric as query } from "convex/server";
import { v } from "convex/values";
export const list = query({ args: { owner: v.optional(v.string()) }, handler: async (ctx) => (await ctx.db.query("rooms").collect()).length });
export const version = query({ args: {}, handler: () => 1 });
export const add = internalMutation({ args: {}, handler: async (ctx) => { await ctx.db.insert("rooms", { name: "a" }); } });
`;
const FILES = {
  "package.json": JSON.stringify({ type: "module", dependencies: { convex: "1.48.0" } }),
  "convex/schema.ts": SCHEMA,
  "convex/rooms.ts": ROOMS,
};

export interface App extends AsyncDisposable {
  readonly path: string;
  write(file: string, text: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Another checkout of the same. */
  copy(): Promise<App>;
}

async function appAt(directory: AsyncDisposable & { path: string }): Promise<App> {
  const { path } = directory;
  await symlink(MODULES, join(path, "node_modules"));
  return {
    path,
    write: async (file, text) => {
      await mkdir(dirname(join(path, file)), { recursive: true });
      await writeFile(join(path, file), text);
    },
    remove: (file) => rm(join(path, file)),
    copy: async () => {
      const other = await directoryWith({});
      await cp(join(path, "convex"), join(other.path, "convex"), { recursive: true });
      await cp(join(path, "package.json"), join(other.path, "package.json"));
      return await appAt(other);
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

export async function newApp(files: Readonly<Record<string, string>> = {}): Promise<App> {
  return await appAt(await directoryWith({ ...FILES, ...files }));
}

export function clientOf(standin: Pick<Standin, "url" | "adminKey">): DeploymentClient {
  return new DeploymentClient({
    url: standin.url,
    adminKey: standin.adminKey,
    http: systemHttp,
    clock: systemClock,
    log: collectLog().log,
  });
}

export interface Deployed extends Pushed {
  readonly changes: Changes;
  readonly lines: Lines;
}

async function prepared(
  standin: Pick<Standin, "url" | "adminKey">,
  inputs: Readonly<Record<string, string>>,
  deps: Deps,
): Promise<Prepared> {
  const all: Readonly<Record<string, string>> = {
    url: standin.url,
    "admin-key": standin.adminKey,
    typecheck: "disable",
    codegen: "disable",
    ...inputs,
  };
  return await prepare(
    readDeployInputs((name) => all[name] ?? "", {}),
    deps,
  );
}

/** The push of the action as a whole, with the real CLI. */
export async function deployApp(
  app: App,
  standin: Pick<Standin, "url" | "adminKey">,
  inputs: Readonly<Record<string, string>> = {},
): Promise<Deployed> {
  const lines = collectLog();
  const deps = fakeDeps({ clock: systemClock, log: lines.log, env: { ...process.env, GITHUB_WORKSPACE: app.path } });
  const client = clientOf(standin);
  const live = await readLive(client);
  const pushed = await pushThrough(await prepared(standin, inputs, deps), client, live, deps);
  const plan = planEnvironment({ wanted: new Map(), present: new Map(), prune: false, keep: [], leftOut: [] });
  return { ...pushed, changes: changesOf(live, pushed.facts, plan), lines };
}

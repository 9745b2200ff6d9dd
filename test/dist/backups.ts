import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeploymentClient } from "../../src/deployment/client.ts";
import { lookInto } from "../../src/restore/look.ts";
import { DirectoryStore } from "../../src/store/directory.ts";
import { Job } from "../support/job.ts";
import { keyPair, makeBackup, makeWorld } from "../unit/restore/support.ts";

/** A backup of examples/chat as it runs in production: encrypted, in a folder, with what was seeded. */
export interface ChatBackup extends AsyncDisposable {
  /** As `source` takes it. */
  readonly source: string;
  readonly folder: string;
  readonly id: string;
  readonly identity: string;
}

/** Functions that an operator asks after a restore, as part of the app. */
const CHECKS = `import { internalQuery } from "./_generated/server";
export const rooms = internalQuery({ args: {}, handler: async (ctx) => (await ctx.db.query("rooms").collect()).length });
export const named = internalQuery({
  args: {},
  handler: async (ctx) => (await ctx.db.query("rooms").collect()).every(({ name }) => name.startsWith("Room ")),
});
`;

export async function addChecks(app: string): Promise<void> {
  await writeFile(join(app, "convex", "checks.ts"), CHECKS);
}

/** Runs the app in a job of its own, seeds it, and backs it up. */
export async function backUpChat(app: string, executable: string): Promise<ChatBackup> {
  const folder = await mkdtemp(join(tmpdir(), "chat-backups-"));
  const job = await Job.create(app);
  await using world = await makeWorld();
  const { identity, recipient } = await keyPair();
  try {
    const inputs = { runtime: "binary", "binary-path": executable, port: "0", "site-port": "0" };
    const main = await job.action("start", { inputs: { ...inputs, run: 'seed:basic {"rooms": 3}' } });
    if (main.exitCode !== 0) throw new Error(main.log);
    const client = new DeploymentClient({
      ...world.deps,
      url: main.outputs.get("url") ?? "",
      adminKey: main.outputs.get("admin-key") ?? "",
    });
    const path = join(world.directory, "snapshot.zip");
    await lookInto(client, { path, includeStorage: true, timeoutMs: 60_000 }, world.deps);
    await mkdir(join(folder, "chat"));
    const store = new DirectoryStore(join(folder, "chat"), world.deps);
    const { id } = await makeBackup(store, {
      zip: path,
      recipients: [recipient],
      variables: new Map([["GREETING", "hello from production"]]),
    });
    return {
      source: `dir:${join(folder, "chat")}`,
      folder: join(folder, "chat"),
      id,
      identity,
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  } finally {
    await job.action("stop");
    await job.remove();
  }
}

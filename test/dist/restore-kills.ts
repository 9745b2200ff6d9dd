import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { importData } from "../../src/deployment/import.ts";
import { asRecord } from "../../src/deployment/json.ts";
import { isPaused } from "../../src/restore/pause.ts";
import { type Standin, startStandin } from "../standin/standin.ts";
import { Job } from "../support/job.ts";
import { BASE, changed, linesOf, MESSAGES, without, writeZip } from "../support/snapshot.ts";
import { makeBackup, makeRun, makeWorld, type World } from "../unit/restore/support.ts";

/** How one restore is killed. */
export interface Kill {
  /** Once its backup was found, or the backend is at work on the import. */
  readonly when: "found" | "importing";
  readonly afterMs: number;
  /** How the step and its post step are told of the deployment. */
  readonly by: "key" | "connection";
}

const PATIENCE_MS = 60_000;

/** A deployment with old data, a backup with others, and restores of it that are killed. */
export class KillScene implements AsyncDisposable {
  readonly #world: World;
  readonly #target: Standin;
  readonly #workspace: string;
  readonly #old: string;

  private constructor(world: World, target: Standin, workspace: string, old: string) {
    this.#world = world;
    this.#target = target;
    this.#workspace = workspace;
    this.#old = old;
  }

  /** @param rowDelayMs how long an import stays at each table */
  static async create(rowDelayMs = 60): Promise<KillScene> {
    const world = await makeWorld();
    const env = { STANDIN_IMPORT_ROW_DELAY_MS: String(rowDelayMs) };
    const target = await startStandin({ instanceName: "production", metrics: false, env });
    const workspace = await mkdtemp(join(tmpdir(), "restore-kills-"));
    const [line = ""] = MESSAGES;
    const entries = changed(BASE, "messages/documents.jsonl", linesOf([line.replaceAll("a1", "old")]));
    const old = await writeZip(join(world.directory, "old.zip"), without(entries, "README.md"));
    await makeBackup(world.store, { zip: await writeZip(join(world.directory, "new.zip"), BASE) });
    return new KillScene(world, target, workspace, old);
  }

  #run() {
    return makeRun(this.#world, this.#target);
  }

  /** `old` or `new`, whole; anything else is neither. */
  async #holds(): Promise<string> {
    const args = { table: "messages", order: "asc", paginationOpts: { cursor: null, numItems: 100 } };
    const page = asRecord(await this.#run().client.systemQuery("_system/cli/tableData", args))["page"];
    const authors = (Array.isArray(page) ? page : []).map((document) => String(asRecord(document)["author"])).sort();
    if (authors.join() === "old") return "old";
    return authors.join() === "a1,a2,a3" ? "new" : `neither: ${authors.join()}`;
  }

  #inputs(by: Kill["by"]): Record<string, string> {
    const { url, adminKey } = this.#target;
    const source = `dir:${join(this.#world.directory, "backups")}`;
    const connection = `CONVEX_SELF_HOSTED_URL=${url}\nCONVEX_SELF_HOSTED_ADMIN_KEY=${adminKey}`;
    const named = by === "key" ? { url, "admin-key": adminKey } : { connection };
    return { source, ...named, confirm: "production", "safety-backup": "off" };
  }

  /** States of the imports that the backend knows, by id. */
  #imports(): ReadonlyMap<string, unknown> {
    const imports = this.#target.backend.store.read((tx) => tx.scan("", "_snapshot_imports"));
    return new Map(imports.map((one) => [String(one["_id"]), asRecord(one["state"])["state"]]));
  }

  /** Resolves once an import runs that is none of those. */
  async #importRuns(known: ReadonlyMap<string, unknown>): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    while (![...this.#imports()].some(([id, state]) => !known.has(id) && state === "in_progress")) {
      if (Date.now() > until) throw new Error("no import has begun");
      await delay(5);
    }
  }

  /**
   * Kills one restore, and runs its post step: no import is left, the target holds the old data or the new ones, runs,
   * and what was told of it is so.
   * @returns whether the kill came before the restore's end
   */
  async killOnce({ when, afterMs, by }: Kill): Promise<boolean> {
    const { client } = this.#run();
    await importData(client, this.#world.deps, { path: this.#old, format: "zip" }, { mode: "replaceAll" });
    const job = await Job.create(this.#workspace);
    try {
      const inputs = this.#inputs(by);
      const moment = when === "found" ? { log: /^Backup \d{4}-/m } : { reached: this.#importRuns(this.#imports()) };
      const main = await job.action("restore", { inputs, killWhen: { ...moment, signal: "SIGKILL", afterMs } });
      const post = await job.action("restore-post", { inputs });
      expect(post.exitCode, post.log).toBe(0);
      expect([...this.#imports().values()].filter((state) => state === "in_progress")).toEqual([]);
      expect(await isPaused(client), `${afterMs} ms: ${main.log}\n${post.log}`).toBe(false);
      const holds = await this.#holds();
      expect(["old", "new"]).toContain(holds);
      if (when === "importing")
        expect(post.log).toMatch(/canceled, so it holds the data that it had before\. Its functions run/);
      if (/were not touched|data that it had before/.test(post.log)) expect(holds, post.log).toBe("old");
      if (/data of the backup are in it/.test(post.log)) expect(holds, post.log).toBe("new");
      const left = await readdir(join(job.directory, "temp"));
      expect(left.filter((name) => !/^convex-restore-report-/.test(name))).toEqual([]);
      return main.exitCode !== 0;
    } finally {
      await job.remove();
    }
  }

  /** A whole restore, after everything that was done to the target. */
  async clean(): Promise<void> {
    const job = await Job.create(this.#workspace);
    try {
      const main = await job.action("restore", { inputs: this.#inputs("key") });
      expect(main.exitCode, main.log).toBe(0);
      expect(await this.#holds()).toBe("new");
    } finally {
      await job.remove();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#target.stop();
    await rm(this.#workspace, { recursive: true, force: true });
    await this.#world[Symbol.asyncDispose]();
  }
}

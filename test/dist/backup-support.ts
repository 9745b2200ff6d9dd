import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { expect } from "vitest";
import { Digest } from "../../src/backup/digest.ts";
import { listBackups } from "../../src/backup/listing.ts";
import { fetchManifest } from "../../src/backup/manifest-reader.ts";
import { decrypt } from "../../src/snapshot/encrypt.ts";
import type { Store } from "../../src/store/store.ts";
import { filesOf } from "../standin/files.ts";
import { type Standin, startStandin } from "../standin/standin.ts";
import { Job, type StepOptions, type StepResult } from "../support/job.ts";

export const SECRET = 'sk-"sentinel" one/two+three??>>~';

/** A stand-in with data and a variable, an age key, and a workspace for jobs. */
export class BackupScene implements AsyncDisposable {
  readonly standin: Standin;
  readonly identity: string;
  readonly recipient: string;
  readonly workspace: string;
  readonly #jobs: Job[] = [];

  private constructor(standin: Standin, identity: string, recipient: string, workspace: string) {
    this.standin = standin;
    this.identity = identity;
    this.recipient = recipient;
    this.workspace = workspace;
  }

  /** @param files stored files of 256 KiB each */
  static async create(files = 4, env: Record<string, string> = {}, instanceName = "standin"): Promise<BackupScene> {
    const [standin, identity, workspace] = await Promise.all([
      startStandin({ env, instanceName }),
      generateIdentity(),
      mkdtemp(join(tmpdir(), "backup-")),
    ]);
    await standin.backend.store.write((tx) => {
      for (let n = 0; n < 300; n += 1)
        tx.insert("", "messages", { body: randomBytes(200).toString("hex"), n: BigInt(n) });
    });
    for (let n = 0; n < files; n += 1) {
      await filesOf(standin.backend).store("", randomBytes(256 * 1024), "application/octet-stream");
    }
    // A folder that is not there cannot be listed; a job that ends early makes none.
    for (const folder of ["backups", "cancelled"]) await mkdir(join(workspace, folder));
    const scene = new BackupScene(standin, identity, await identityToRecipient(identity), workspace);
    await scene.setVariable("OPENAI_API_KEY", SECRET);
    return scene;
  }

  async setVariable(name: string, value: string): Promise<void> {
    const answer = await fetch(`${this.standin.url}/api/update_environment_variables`, {
      method: "POST",
      headers: { authorization: `Convex ${this.standin.adminKey}`, "content-type": "application/json" },
      body: JSON.stringify({ changes: [{ name, value }] }),
    });
    expect(answer.status).toBe(200);
  }

  async job(): Promise<Job> {
    const job = await Job.create(this.workspace);
    this.#jobs.push(job);
    return job;
  }

  inputs(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    const { standin, recipient } = this;
    return { url: standin.url, "admin-key": standin.adminKey, recipients: recipient, ...more };
  }

  /** The main step and, as a runner does it whatever happened, the post step. */
  async run(
    options: StepOptions,
    then: (main: StepResult) => void | Promise<void> = () => undefined,
  ): Promise<{ readonly job: Job; readonly main: StepResult; readonly post: StepResult }> {
    const job = await this.job();
    const asked = { ...options, inputs: this.inputs(options.inputs) };
    const main = await job.action("backup", asked);
    await then(main);
    const post = await job.action("backup-post", { inputs: asked.inputs, ...(options.env && { env: options.env }) });
    return { job, main, post };
  }

  /**
   * Every backup that counts as one holds what its manifest says, and decrypts to the snapshot it describes.
   * @returns how many there are
   */
  async expectSound(store: Store): Promise<number> {
    const complete = (await listBackups(store)).filter((backup) => backup.complete);
    for (const { id } of complete) {
      const manifest = await fetchManifest(store, id);
      for (const { name, sha256, bytes, plain } of manifest.objects) {
        const [outer, inner] = [new Digest(), new Digest()];
        const source = decrypt(outer.through(store.get(`${id}/${name}`)), [this.identity]);
        for await (const _ of inner.through(source)) {
          // Read to its end.
        }
        expect([outer.bytes, outer.sha256(), inner.bytes, inner.sha256()]).toEqual([
          bytes,
          sha256,
          plain.bytes,
          plain.sha256,
        ]);
      }
    }
    return complete.length;
  }

  /** Exports that are running, or that the server would keep for days. */
  openExports(): number {
    const exports = this.standin.backend.store.read((tx) => tx.scan("", "_exports"));
    const soon = (Date.now() - 31 * 86_400_000) * 1e6;
    return exports.filter((one) => one["state"] !== "canceled" && Number(one["expiration_ts"]) >= soon).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.standin.stop();
    await Promise.all([...this.#jobs.map((job) => job.remove()), rm(this.workspace, { recursive: true, force: true })]);
  }
}

export const codeOf = (result: StepResult): string | undefined => /^::error::\[([a-z0-9-]+)\]/m.exec(result.log)?.[1];

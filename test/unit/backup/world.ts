import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { backup } from "../../../src/backup/backup.ts";
import { readBackupInputs } from "../../../src/backup/inputs.ts";
import type { Run } from "../../../src/backup/run.ts";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { decrypt } from "../../../src/snapshot/encrypt.ts";
import { DirectoryStore } from "../../../src/store/directory.ts";
import type { Store } from "../../../src/store/store.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { filesOf } from "../../standin/files.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import type { Document } from "../../standin/types.ts";
import { collectLog, fakeDeps, type Lines } from "../deployment/support.ts";

export const SECRET_VALUE = "sentinel-of-a-variable";

/** A stand-in with data, an age key, a folder for backups, and a job around them. */
export interface World extends AsyncDisposable {
  readonly standin: Standin;
  readonly identity: string;
  readonly recipient: string;
  readonly lines: Lines;
  readonly deps: Deps;
  readonly destination: string;
  readonly temp: string;
  /** The action as a workflow runs it. */
  backUp(inputs?: Readonly<Record<string, string>>, more?: Partial<Deps>, signal?: AbortSignal): Promise<void>;
  /** What `makeBackup` takes. */
  run(more?: Partial<Run>): Run;
  store(): Store;
  /** Ids of everything in the destination, sorted. */
  ids(): Promise<string[]>;
  exports(): Document[];
  open(key: string): Promise<Buffer>;
}

async function fillWithData(standin: Standin): Promise<void> {
  await standin.backend.store.write((tx) => {
    for (let n = 0; n < 40; n += 1) tx.insert("", "messages", { body: `message ${n}`, n: BigInt(n) });
    tx.insert("", "users", { name: "a" });
  });
  await filesOf(standin.backend).store("", Buffer.from("hello"), "text/plain");
  await fetch(`${standin.url}/api/update_environment_variables`, {
    method: "POST",
    headers: { authorization: `Convex ${standin.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ changes: [{ name: "OPENAI_API_KEY", value: SECRET_VALUE }] }),
  });
}

export async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

export async function failure(work: Promise<unknown>): Promise<ActionError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ActionError) return error;
    throw error;
  }
  throw new Error("it succeeded");
}

export async function world(env: Record<string, string> = {}): Promise<World> {
  const standin = await startStandin({ env });
  await fillWithData(standin);
  const identity = await generateIdentity();
  const recipient = await identityToRecipient(identity);
  const directory = await mkdtemp(join(tmpdir(), "backup-"));
  const temp = await mkdtemp(join(directory, "temp-"));
  const destination = join(directory, "backups");
  const lines = collectLog();
  const deps = fakeDeps({
    clock: systemClock,
    log: lines.log,
    env: { RUNNER_TEMP: temp, GITHUB_WORKSPACE: directory, GITHUB_SHA: "9fceb02d0ae598e95dc970b74767f19372d61af8" },
  });
  const read =
    (inputs: Readonly<Record<string, string>>) =>
    (name: string): string =>
      ({
        url: standin.url,
        "admin-key": standin.adminKey,
        destination: "dir:backups",
        recipients: recipient,
        ...inputs,
      })[name] ?? "";
  const store = new DirectoryStore(destination, deps);
  return {
    standin,
    identity,
    recipient,
    lines,
    deps,
    destination,
    temp,
    backUp: (inputs = {}, more = {}, signal = new AbortController().signal) =>
      backup(read(inputs), { ...deps, ...more }, deps.clock.now(), signal),
    run: (more = {}) => ({
      inputs: readBackupInputs(read({}), deps.env),
      id: "2026-11-22T03-00-04Z-3f9c12ab",
      startedAt: 0,
      client: new DeploymentClient({ ...deps, url: standin.url, adminKey: standin.adminKey }),
      store,
      directory: temp,
      timeline: new Timeline(deps.clock, 0),
      tell: () => undefined,
      save: () => undefined,
      signal: new AbortController().signal,
      deps,
      ...more,
    }),
    store: () => store,
    ids: async () => (await readdir(destination).catch(() => [])).sort(),
    exports: () => standin.backend.store.read((tx) => tx.scan("", "_exports")),
    open: (key) => all(decrypt(store.get(key), [identity])),
    [Symbol.asyncDispose]: async () => {
      await standin.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

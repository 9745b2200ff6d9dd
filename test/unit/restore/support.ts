import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { newBackupId } from "../../../src/backup/id.ts";
import { type Manifest, type ManifestObject, manifestBytes } from "../../../src/backup/manifest.ts";
import { OBJECTS } from "../../../src/backup/objects.ts";
import { describeVariables, newFingerprintKey, settingsBytes } from "../../../src/backup/settings.ts";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { parseChecks } from "../../../src/restore/checks.ts";
import type { RestoreFacts } from "../../../src/restore/facts.ts";
import { readRestoreInputs } from "../../../src/restore/inputs.ts";
import type { Run } from "../../../src/restore/run.ts";
import { type RestoreState, StateKeeper } from "../../../src/restore/state.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { encrypt, parseIdentities, parseRecipients } from "../../../src/snapshot/encrypt.ts";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import { DirectoryStore } from "../../../src/store/directory.ts";
import type { Store } from "../../../src/store/store.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";
import type { Standin } from "../../standin/standin.ts";
import { collectLog, type Lines } from "../deployment/support.ts";

export interface MadeBackup {
  readonly id: string;
  readonly manifest: Manifest;
}

export interface BackupWish {
  /** The ZIP that is backed up. */
  readonly zip: string;
  /** Age recipients; plain without. */
  readonly recipients?: readonly string[];
  /** Variables of the deployment, kept with the backup when it is encrypted. */
  readonly variables?: ReadonlyMap<string, string>;
  readonly takenAt?: Date;
  /** By the backend's clock; `takenAt` when absent. */
  readonly snapshotAt?: Date;
  readonly instance?: Manifest["instance"];
}

const INSTANCE: Manifest["instance"] = { name: "production", fingerprint: "0123456789abcdef" };

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Puts a backup into a store as the backup action lays it out, from a ZIP that is there already. */
export async function makeBackup(store: Store, wish: BackupWish): Promise<MadeBackup> {
  const { recipients = [], variables = new Map<string, string>(), takenAt = new Date(), instance = INSTANCE } = wish;
  const { snapshotAt = takenAt } = wish;
  const zip = await readFile(wish.zip);
  const inspection = await inspectSnapshot(wish.zip);
  const id = newBackupId(takenAt);
  const key = newFingerprintKey();
  const encrypted = recipients.length > 0;
  const objects: ManifestObject[] = [];
  const put = async (name: string, plain: Buffer): Promise<void> => {
    const stored = encrypted ? await collect(encrypt(once(plain), recipients)) : plain;
    await store.put(`${id}/${name}`, stored);
    objects.push({
      name,
      bytes: stored.length,
      sha256: sha256(stored),
      plain: { bytes: plain.length, sha256: sha256(plain) },
    });
  };
  await put(encrypted ? OBJECTS.encryptedSnapshot : OBJECTS.snapshot, zip);
  if (encrypted) {
    const settings = { id, instanceName: "production", origins: undefined, fingerprintKey: key, variables };
    await put(OBJECTS.settings, settingsBytes(settings));
  }
  const { tables, documents, files, bytes, uncompressedBytes, encoding, findings } = inspection;
  const manifest: Manifest = {
    version: 1,
    id,
    instance,
    startedAt: takenAt.toISOString(),
    finishedAt: takenAt.toISOString(),
    backend: { version: "2026-09-28-5c7cb5b" },
    code: { commit: "0123456789abcdef0123456789abcdef01234567", assumed: false },
    action: { version: "1.0.0" },
    encryption: encrypted ? { method: "age", recipients } : { method: "none" },
    objects,
    snapshot: {
      timestamp: String(BigInt(snapshotAt.getTime()) * 1_000_000n),
      documents,
      files,
      bytes,
      uncompressedBytes,
      encoding,
      sha256: inspection.sha256,
      tables,
      storage: inspection.storage ?? null,
      findings,
    },
    env: { values: encrypted, variables: describeVariables(variables, encrypted ? key : undefined) },
  };
  await store.put(`${id}/${OBJECTS.manifest}`, manifestBytes(manifest));
  return { id, manifest };
}

/** An age key pair. */
export async function keyPair(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

export interface World extends AsyncDisposable {
  readonly directory: string;
  readonly store: Store;
  readonly lines: Lines;
  readonly deps: Deps;
}

/** A folder for backups and temporary files, and what domain code needs of the machine. */
export async function makeWorld(): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), "restore-"));
  await mkdir(join(directory, "backups"));
  await mkdir(join(directory, "temp"));
  const lines = collectLog();
  const deps: Deps = {
    exec: systemExec,
    http: systemHttp,
    clock: systemClock,
    log: lines.log,
    env: { RUNNER_TEMP: join(directory, "temp"), GITHUB_WORKSPACE: directory },
    platform: process.platform,
    arch: process.arch,
  };
  return {
    directory,
    lines,
    deps,
    store: new DirectoryStore(join(directory, "backups"), deps),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface TestRun extends Run {
  /** Every state that was saved, in order. */
  readonly states: RestoreState[];
}

/** One run of the action on a stand-in, as `restore` makes it from the step's inputs. */
export function makeRun(world: World, target: Standin, inputs: Readonly<Record<string, string>> = {}): TestRun {
  const all: Record<string, string> = {
    source: "dir:backups",
    url: target.url,
    "admin-key": target.adminKey,
    ...inputs,
  };
  const read = readRestoreInputs((name) => all[name] ?? "", {}, world.directory);
  const states: RestoreState[] = [];
  let facts: RestoreFacts = {};
  return {
    states,
    inputs: read,
    identities: read.identity === undefined ? [] : parseIdentities(read.identity),
    recipients: parseRecipients(read.recipients),
    checks: parseChecks(read.checks),
    client: new DeploymentClient({ ...world.deps, url: target.url, adminKey: target.adminKey }),
    store: world.store,
    timeline: new Timeline(world.deps.clock, world.deps.clock.now()),
    keeper: new StateKeeper(target.url, (state) => states.push(state)),
    tell: (more) => {
      facts = { ...facts, ...more };
    },
    told: () => facts,
    deps: world.deps,
  };
}

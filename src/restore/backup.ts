import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import type { Manifest, ManifestObject } from "../backup/manifest.ts";
import { OBJECTS } from "../backup/objects.ts";
import { type BackupSettings, parseSettings } from "../backup/settings.ts";
import { ActionError } from "../runner/errors.ts";
import { Meter } from "../runner/meter.ts";
import { compareInspections } from "../snapshot/compare.ts";
import { decrypt } from "../snapshot/encrypt.ts";
import { examine } from "../snapshot/examination.ts";
import type { Inspection } from "../snapshot/inspection.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import { FileSink } from "./file-sink.ts";

/** A backup on this machine: decrypted, every hash compared, read as a whole. */
export interface Backup {
  readonly manifest: Manifest;
  /** The snapshot as a backend wrote it. */
  readonly path: string;
  readonly inspection: Inspection;
  /** Undefined without an encrypted bundle, or without the identity that opens it. */
  readonly settings: BackupSettings | undefined;
}

export interface Opener {
  readonly store: Store;
  /** As `parseIdentities` returns them; empty for backups without encryption. */
  readonly identities: readonly string[];
  /** Ours, mode 0700. */
  readonly directory: string;
}

function damaged(id: string, what: string): ActionError {
  return new ActionError(
    "backup-damaged",
    `${what} in backup ${id} is not what its manifest says. Nothing was restored.`,
    "Use the backup before it, and find out who or what changed this one in its store.",
  );
}

/** Passes bytes on and hashes them; more than there should be ends it at once. */
async function* measured(source: AsyncIterable<Uint8Array>, hash: Hash, most: number, tooMuch: () => ActionError) {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > most) throw tooMuch();
    hash.update(chunk);
    yield chunk;
  }
  if (bytes !== most) throw tooMuch();
}

async function* metered(source: AsyncIterable<Uint8Array>, meter: Meter): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    meter.add(chunk.length);
    yield chunk;
  }
}

/** The content of one object: stored bytes and plain bytes are both proved to be those of the manifest. */
async function* plainBytes(
  { manifest, object }: { manifest: Manifest; object: ManifestObject },
  { store, identities }: Opener,
  deps: Deps,
): AsyncGenerator<Uint8Array> {
  const { id, encryption } = manifest;
  const { name, bytes, sha256, plain } = object;
  const key = `${id}/${name}`;
  const storedHash = createHash("sha256");
  const stored = metered(
    measured(store.get(key), storedHash, bytes, () => damaged(id, `The size of ${name}`)),
    new Meter("Downloaded", bytes, deps),
  );
  const plainHash = createHash("sha256");
  const content = encryption.method === "none" ? stored : decrypt(stored, identities);
  yield* measured(content, plainHash, plain.bytes, () => damaged(id, `The decrypted size of ${name}`));
  if (storedHash.digest("hex") !== sha256) throw damaged(id, `The SHA-256 of ${name}`);
  if (plainHash.digest("hex") !== plain.sha256) throw damaged(id, `The SHA-256 of the decrypted ${name}`);
}

async function readSettings(manifest: Manifest, opener: Opener, deps: Deps): Promise<BackupSettings | undefined> {
  const object = manifest.objects.find(({ name }) => name === OBJECTS.settings);
  if (object === undefined || opener.identities.length === 0) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of plainBytes({ manifest, object }, opener, deps)) parts.push(part);
  const settings = parseSettings(Buffer.concat(parts), manifest.id);
  for (const value of settings.variables?.values() ?? []) deps.log.mask(value);
  return settings;
}

async function readSnapshot(manifest: Manifest, opener: Opener, deps: Deps): Promise<string> {
  const { encryption, id } = manifest;
  const wanted = encryption.method === "age" ? OBJECTS.encryptedSnapshot : OBJECTS.snapshot;
  const object = manifest.objects.find(({ name }) => name === wanted);
  if (object === undefined) throw damaged(id, wanted);
  const file = await FileSink.create(join(opener.directory, "backup.zip"));
  try {
    for await (const bytes of plainBytes({ manifest, object }, opener, deps)) await file.write(bytes);
  } finally {
    await file.close();
  }
  return file.path;
}

/** @throws ActionError identity-missing */
function checkIdentity({ id, encryption }: Manifest, identities: readonly string[]): void {
  if (encryption.method === "none" || identities.length > 0) return;
  throw new ActionError(
    "identity-missing",
    `Backup ${id} is encrypted to ${encryption.recipients.join(", ")}, and identity is not set.`,
    "Set identity: from a secret that holds the age key file of one of them.",
  );
}

/**
 * Fetches a backup: downloads, compares every hash, decrypts, reads the snapshot as a whole. What comes out is what was
 * backed up, or an error.
 * @throws ActionError backup-damaged, identity-missing, identity-mismatch, disk-full; those of the store
 */
export async function openBackup(manifest: Manifest, opener: Opener, deps: Deps): Promise<Backup> {
  checkIdentity(manifest, opener.identities);
  const settings = await readSettings(manifest, opener, deps);
  const path = await readSnapshot(manifest, opener, deps);
  const inspection = await examine(path, { sha256: manifest.snapshot.sha256 });
  judge(manifest, inspection);
  return { manifest, path, inspection, settings };
}

/**
 * What is read now must be what was read when the backup was made, and all of it must be restorable.
 * @throws ActionError backup-damaged, backup-unrestorable
 */
function judge({ id, snapshot }: Manifest, inspection: Inspection): void {
  const { tables, storage, encoding } = snapshot;
  const [first] = compareInspections({ tables, storage: storage ?? undefined, encoding }, inspection);
  if (first !== undefined) {
    const where = first.component === "" ? first.name : `${first.name} in ${first.component}`;
    throw damaged(id, `What ${where} holds (${first.found} instead of ${first.expected})`);
  }
  const errors = inspection.findings.filter(({ level }) => level === "error");
  const [worst] = errors;
  if (worst === undefined) return;
  throw new ActionError(
    "backup-unrestorable",
    `Backup ${id} would lose or change data on its way back: ${worst.message} (${worst.where}${errors.length > 1 ? `, and ${errors.length - 1} more findings` : ""}). Nothing was restored.`,
    "Use another backup; where every backup has this, the deployment itself has to be changed (docs/restore.md).",
  );
}

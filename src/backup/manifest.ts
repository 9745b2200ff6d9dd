import { createHash } from "node:crypto";
import type { Inspection, SnapshotFinding, StorageFacts, TableFacts } from "../snapshot/inspection.ts";

/** Raised when an older reader would take a newer manifest for something else; docs/backup-manifest.schema.json. */
export const MANIFEST_VERSION = 1;

/** Longer ones are not read: 100,000 tables take 20 MB. */
export const LARGEST_MANIFEST = 32 * 1024 * 1024;

/** One object of a backup, beside the manifest itself. */
export interface ManifestObject {
  /** Below the backup's id: `snapshot.zip.age`. */
  readonly name: string;
  /** As it is stored. */
  readonly bytes: number;
  /** Of the stored bytes, hex. */
  readonly sha256: string;
  /** Before encryption; the same as the stored ones where there is none. */
  readonly plain: { readonly bytes: number; readonly sha256: string };
}

export interface ManifestVariable {
  readonly name: string;
  /**
   * Hex HMAC-SHA256 of the value under a key that only the encrypted bundle holds; absent in backups without
   * encryption.
   */
  readonly fingerprint?: string;
}

/** What was snapshotted, as `inspectSnapshot` found it in the ZIP itself. */
export interface ManifestSnapshot extends Pick<Inspection, "documents" | "files" | "bytes" | "sha256" | "encoding"> {
  /** Of the database snapshot: nanoseconds since the epoch, as a decimal number. */
  readonly timestamp: string;
  readonly uncompressedBytes: number;
  readonly tables: readonly TableFacts[];
  /** null: made without file storage. */
  readonly storage: readonly StorageFacts[] | null;
  readonly findings: readonly SnapshotFinding[];
}

/** The description of one backup, written last: without it a backup does not exist. Holds no secret. */
export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly id: string;
  readonly instance: {
    readonly name: string;
    /** Tells instances of one name apart: hex of a hash over the name and the origin that the backend gives out. */
    readonly fingerprint: string;
  };
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Release, commit or digest as the workflow named it, else `unknown`: the backend does not tell. */
  readonly backend: { readonly version: string };
  /** Of the deployed code. `assumed`: nobody named it, so it is that of the workflow run. */
  readonly code: { readonly commit: string; readonly assumed: boolean };
  readonly action: { readonly version: string };
  readonly encryption: { readonly method: "age"; readonly recipients: readonly string[] } | { readonly method: "none" };
  readonly objects: readonly ManifestObject[];
  readonly snapshot: ManifestSnapshot;
  readonly env: {
    /** Whether the encrypted bundle holds the values. */
    readonly values: boolean;
    readonly variables: readonly ManifestVariable[];
  };
}

/** The time of a snapshot as people read it. */
export function timeOf(timestamp: string): string {
  return new Date(Number(BigInt(timestamp) / 1_000_000n)).toISOString();
}

function checksumOf(fields: object): string {
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}

/** As it is stored: behind the fields a checksum over all of them, so that a changed bit in any text is found. */
export function manifestBytes(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify({ ...manifest, checksum: checksumOf(manifest) }, undefined, 2)}\n`);
}

/** Whether the fields of a stored manifest, known and unknown ones, are those that were written. */
export function isIntact(stored: object): boolean {
  const { checksum, ...fields } = stored as { checksum?: unknown };
  return checksum === checksumOf(fields);
}

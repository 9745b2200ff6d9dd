/**
 * The SQLite file as a start sees it: what can be wrong with it (contract 1.4), and the row that real databases have
 * too, with the metadata version and the kind of storage (contract 9). The stand-in's data lies in tables beside it.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** How a start fails: `message` is what stderr shows, `chain` what the log adds to it. */
export class StartError extends Error {
  readonly chain: readonly string[];
  constructor(message: string, ...causes: string[]) {
    super(message);
    this.chain = [message, ...causes];
  }
}

export type StorageType = { tag: "local"; dir: string } | { tag: "s3"; s3Prefix: string };

export interface Metadata {
  version: number;
  storageType?: StorageType;
}

export interface OpenedDatabase {
  /** The file did not exist before. */
  fresh: boolean;
  /** @throws StartError when the file holds none */
  read(): Metadata;
  /** @throws StartError when the file cannot be written */
  write(metadata: Metadata): void;
  close(): void;
}

/** Opens or creates the file. @throws StartError */
export function openDatabase(path: string): OpenedDatabase {
  const fresh = !existsSync(path);
  const db = attempt(path, () => new DatabaseSync(path));
  attempt(path, () => db.prepare("PRAGMA schema_version").get());
  return {
    fresh,
    read: () => attempt(path, () => readRow(db)),
    write: (metadata) => attempt(path, () => writeRow(db, metadata)),
    close: () => db.close(),
  };
}

function readRow(db: DatabaseSync): Metadata {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'documents'").get();
  const row = table && db.prepare(`SELECT json_value FROM documents WHERE ${MARKED} ORDER BY ts DESC LIMIT 1`).get();
  const bytes = row?.["json_value"];
  if (!(bytes instanceof Uint8Array)) throw new StartError("missing _tables.by_id global");
  const json: unknown = JSON.parse(Buffer.from(bytes).toString());
  const { version, storageType } = json as { version: { $integer: string }; storageType?: StorageType };
  const number = Number(Buffer.from(version.$integer, "base64").readBigInt64LE());
  return storageType === undefined ? { version: number } : { version: number, storageType };
}

const MARKED = `CAST(json_value AS TEXT) LIKE '%"awsPrefixSecret"%'`;

function writeRow(db: DatabaseSync, { version, storageType }: Metadata): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(version));
  const secret = randomBytes(16).toString("hex");
  const row = { awsPrefixSecret: secret, storageType, version: { $integer: bytes.toString("base64") } };
  db.exec("CREATE TABLE IF NOT EXISTS documents (ts INTEGER NOT NULL, json_value BLOB NOT NULL)");
  db.exec(`DELETE FROM documents WHERE ${MARKED}`);
  const ts = BigInt(Date.now()) * 1_000_000n;
  db.prepare("INSERT INTO documents (ts, json_value) VALUES (?, ?)").run(ts, Buffer.from(JSON.stringify(row)));
}

/** Runs something on the database and turns SQLite's error codes into the backend's texts. */
export function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translate(path, error);
  }
}

function translate(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  switch (Number(error.errcode) & 0xff) {
    case 8:
      return new StartError(
        "attempt to write a readonly database",
        "Error code 8: Attempt to write a readonly database",
      );
    case 11:
      return new StartError("database disk image is malformed", "Error code 11: The database disk image is malformed");
    case 14:
      return new StartError(`unable to open database file: ${path}`, "Error code 14: Unable to open the database file");
    case 26:
      return new StartError("file is not a database", "Error code 26: File opened that is not a database file");
    default:
      return error;
  }
}

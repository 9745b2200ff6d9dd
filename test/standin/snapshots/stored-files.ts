/** The `_storage` folder of an import: metadata lines, stored files, their digests (contract 7.3). */
import { createHash, randomUUID } from "node:crypto";
import { inComponent } from "../components.ts";
import { mismatch } from "../files.ts";
import { decodeId } from "../ids.ts";
import type { Fields } from "../types.ts";
import { isFields } from "../values.ts";
import { existsAlready } from "./documents.ts";
import { ImportError, SystemFailure } from "./import-error.ts";
import type { RunContext } from "./import-run.ts";
import { STORAGE } from "./plan.ts";
import { decodeBase64, parseRaw, rowValue } from "./rows.ts";
import type { FileUnit } from "./source.ts";
import { checkNumber, keyOf } from "./table-numbers.ts";
import { InvalidZip, type ZipEntry } from "./zip-reader.ts";

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const STORAGE_NUMBER = 540;

export interface StoredDocument {
  readonly fields: Fields;
  readonly id: string;
  readonly creationTime: number | undefined;
}

interface Metadata {
  readonly creationTime: number | undefined;
  readonly sha256: string | undefined;
  readonly contentType: string | null;
  readonly internalId: string | undefined;
}

/** Stores the blobs, reporting each; the documents are for the last transaction. @throws ImportError, SystemFailure */
export async function readFiles(unit: FileUnit, context: RunContext): Promise<StoredDocument[]> {
  const { report, store, mode } = context;
  const shown = inComponent(unit.component);
  await report({ progress: `Importing "_file_storage"${shown}` });
  const metadata = readMetadata(unit);
  checkIds(unit, context);
  const key = keyOf(unit.component, STORAGE);
  const documents: StoredDocument[] = [];
  for (const { id, entry } of unit.files) {
    const live = mode === "append" && store.read((tx) => tx.get(unit.component, id)) !== null;
    if (live || documents.some((each) => each.id === id)) throw existsAlready(id);
    documents.push(await storeFile(id, entry, metadata.get(id), context));
    const progress = `Importing "_storage" (${documents.length}/${unit.lines.length} files)`;
    await report({ progress, table: [{ key, written: documents.length }] });
  }
  await report({ checkpoint: `Imported "_storage"${shown} (${documents.length} files)` });
  return documents;
}

/** By storage id; of two lines the last wins. */
function readMetadata(unit: FileUnit): Map<string, Metadata> {
  const found = new Map<string, Metadata>();
  for (const [i, line] of unit.lines.entries()) {
    const row = i + 1;
    const value = rowValue(parseRaw(line), row, { kind: "plain" });
    const { _id, _creationTime, sha256, contentType, internalId } = value;
    if (typeof internalId === "string" && !UUID.test(internalId))
      throw ImportError.badValue(row, "Couldn't parse storage_id");
    if (typeof contentType === "string" && !/^[^\s/;]+\/[^\s/;]+/.test(contentType)) {
      throw ImportError.badValue(row, "invalid HTTP header");
    }
    found.set(String(_id), {
      creationTime: typeof _creationTime === "number" ? _creationTime : undefined,
      sha256: typeof sha256 === "string" ? checkedBase64(sha256, row) : undefined,
      contentType: typeof contentType === "string" ? contentType : null,
      internalId: typeof internalId === "string" ? internalId : undefined,
    });
  }
  return found;
}

function checkedBase64(text: string, row: number): string {
  try {
    decodeBase64(text);
    return text;
  } catch (error) {
    throw ImportError.badValue(row, error instanceof Error ? error.message : String(error));
  }
}

/** All ids of one file have one number, which nothing else has. */
function checkIds(unit: FileUnit, { store }: RunContext): void {
  let number: number | undefined;
  const listed = unit.lines
    .map((line) => parseRaw(line))
    .map((raw) => (isFields(raw as Fields) ? (raw as Fields)["_id"] : undefined));
  for (const id of [...listed.filter((each) => typeof each === "string"), ...unit.files.map((file) => file.id)]) {
    const decoded = decodeId(id);
    if (decoded === undefined) {
      throw ImportError.prefixed(`_storage id '${id}' invalid: Unable to decode ID: Invalid ID length ${id.length}`);
    }
    number ??= decoded.table;
    if (decoded.table !== number) {
      const why = `(TableNumber(${decoded.table}) != TableNumber(${number}))`;
      throw ImportError.prefixed(`_storage entry has invalid ID ${id} ${why}`);
    }
  }
  if (number === undefined || number === STORAGE_NUMBER) return;
  const wanted = number;
  store.read((tx) => checkNumber(tx, { component: unit.component, table: STORAGE }, wanted, () => false));
}

async function storeFile(
  id: string,
  entry: ZipEntry,
  metadata: Metadata | undefined,
  { blobs }: RunContext,
): Promise<StoredDocument> {
  const bytes = readStored(entry);
  const sha256 = createHash("sha256").update(bytes).digest("base64");
  if (metadata?.sha256 !== undefined && metadata.sha256 !== sha256) {
    throw ImportError.prefixed(mismatch(metadata.sha256, sha256).message);
  }
  const storageKey = await blobs.put("files", bytes);
  const storageId = metadata?.internalId ?? randomUUID();
  const fields = { sha256, size: bytes.length, contentType: metadata?.contentType ?? null, storageId, storageKey };
  return { fields, id, creationTime: metadata?.creationTime };
}

/** A damaged entry counts as a failure of the system, which is tried again for minutes. */
function readStored(entry: ZipEntry): Buffer {
  try {
    return entry.read();
  } catch (error) {
    throw error instanceof InvalidZip ? new SystemFailure(`${entry.name}: ${error.message}`) : error;
  }
}

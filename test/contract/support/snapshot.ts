/** Exports and imports step by step (contract 7.1, 7.3). */
import { readFileSync } from "node:fs";
import { type Backend, external } from "./backend.ts";
import { at, textAt } from "./http.ts";
import { until } from "./process.ts";
import { readZip, writeZip, type Zip, type ZipInput } from "./zip.ts";

export const snapshot = (name: string): Buffer =>
  readFileSync(new URL(`../../fixtures/snapshots/${name}.zip`, import.meta.url));

export const latestExport = (backend: Backend) => backend.value("query", "_system/cli/exports:getLatest");

/** Requests an export and waits for it; its document has 64-bit values as decimal strings. */
export async function exportDocument(backend: Backend, includeStorage = false): Promise<unknown> {
  await until("a request that no other export stands against", async () => {
    const requested = await backend.post(`/api/export/request/zip?includeStorage=${includeStorage}`);
    if (requested.status === 200) return true;
    if (at(requested.json, "code") === "ExportInProgress") return false;
    throw new Error(`export: ${requested.status} ${requested.text}`);
  });
  const id = at(await latestExport(backend), "_id");
  return until("a completed export", async () => {
    const document = await latestExport(backend);
    return at(document, "_id") === id && at(document, "state") === "completed" && document;
  });
}

export async function exportZip(backend: Backend, includeStorage = false): Promise<Zip> {
  const document = await exportDocument(backend, includeStorage);
  const answer = await backend.get(`/api/export/zip/${textAt(document, "start_ts")}`);
  if (answer.status !== 200) throw new Error(`download: ${answer.status} ${answer.text}`);
  return readZip(answer.bytes);
}

/**
 * Names of the entries to compare with those of `before`. A backend that others used keeps their components, unmounted
 * and empty, and nothing removes them: those are left out there.
 */
export function namesLike(before: Zip, after: Zip): Set<string> {
  const known = new Set(before.names());
  const foreign = (name: string) => external !== undefined && name.startsWith("_components/") && !known.has(name);
  return new Set(after.names().filter((name) => !foreign(name)));
}

export interface ImportOptions {
  readonly format?: "zip" | "csv" | "jsonLines" | "jsonArray";
  readonly mode?: "requireEmpty" | "append" | "replace" | "replaceAll";
  readonly tableName?: string;
  readonly componentPath?: string;
  /** Bytes in each part; everything in one by default. */
  readonly partSize?: number;
}

export async function uploadImport(
  backend: Backend,
  body: Uint8Array | string,
  options: ImportOptions = {},
): Promise<string> {
  const { partSize, format = "zip", ...rest } = options;
  const bytes = Buffer.from(body);
  const token = textAt((await backend.post("/api/import/start_upload")).json, "uploadToken");
  const partTokens: unknown[] = [];
  const size = partSize ?? Math.max(bytes.length, 1);
  for (let from = 0, number = 1; from === 0 || from < bytes.length; from += size, number += 1) {
    const path = `/api/import/upload_part?uploadToken=${encodeURIComponent(token)}&partNumber=${number}`;
    const headers = { "content-type": "application/octet-stream" };
    const part = await backend.send(path, { method: "POST", body: bytes.subarray(from, from + size), headers });
    if (part.status !== 200) throw new Error(`upload_part: ${part.status} ${part.text}`);
    partTokens.push(part.json);
  }
  const finished = await backend.post("/api/import/finish_upload", {
    import: { format, ...rest },
    uploadToken: token,
    partTokens,
  });
  if (finished.status !== 200) throw new Error(`finish_upload: ${finished.status} ${finished.text}`);
  return textAt(finished.json, "importId");
}

export const importDocument = (backend: Backend, importId: string) =>
  backend.value("query", "_system/cli/queryImport", { importId });

/** Waits for the first state that is one of these. */
export function untilState(backend: Backend, importId: string, ...states: string[]): Promise<unknown> {
  return until(`the import in ${states.join(" or ")}`, async () => {
    const document = await importDocument(backend, importId);
    return states.includes(String(at(document, "state", "state"))) && document;
  });
}

/** To the end, confirming on the way; gives the last document. */
export async function importAll(
  backend: Backend,
  body: Uint8Array | string,
  options: ImportOptions = {},
): Promise<unknown> {
  const importId = await uploadImport(backend, body, options);
  const waiting = await untilState(backend, importId, "waiting_for_confirmation", "failed");
  if (at(waiting, "state", "state") === "failed") return waiting;
  await backend.post("/api/perform_import", { importId });
  return untilState(backend, importId, "completed", "failed");
}

export const errorOf = (document: unknown) => at(document, "state", "error_message");

const jsonLine = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

/** Entries of one table: documents as text lines (kept as they are) or objects. */
export function table(name: string, lines: readonly unknown[], schema: string | null = '"uniform"'): ZipInput[] {
  return [
    { name: `${name}/documents.jsonl`, data: lines.map((line) => `${jsonLine(line)}\n`).join("") },
    ...(schema === null ? [] : [{ name: `${name}/generated_schema.jsonl`, data: `${schema}\n` }]),
  ];
}

export function tables(numbers: Record<string, number>, prefix = ""): ZipInput {
  const lines = Object.entries(numbers).map(([name, id]) => `{"name":"${name}","id":${id}}\n`);
  return { name: `${prefix}_tables/documents.jsonl`, data: lines.join("") };
}

export const zipOf = (...parts: readonly (ZipInput | readonly ZipInput[])[]): Buffer =>
  writeZip(parts.flat() as ZipInput[]);

import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { DeploymentClient } from "./client.ts";
import { withoutDocuments } from "./documents.ts";
import { asRecord } from "./json.ts";

export type ImportFormat = "zip" | "jsonLines" | "jsonArray" | "csv";
export type ImportMode = "requireEmpty" | "append" | "replace" | "replaceAll";

export interface ImportSource {
  /** Absolute. */
  readonly path: string;
  readonly format: ImportFormat;
  /** Absent for a snapshot, which holds its tables' names. */
  readonly table?: string;
}

const FORMATS: Readonly<Record<string, ImportFormat>> = {
  ".zip": "zip",
  ".jsonl": "jsonLines",
  ".json": "jsonArray",
  ".csv": "csv",
};

/** S3 takes no smaller parts but the last; the CLI's size too (contract 7.3). */
const PART_BYTES = 5 * 1024 * 1024;

/**
 * Reads one entry of `import`: a snapshot `.zip`, or a table's file as `table=path` or by its name.
 * @throws ActionError import-source-invalid, import-file-missing
 */
export function parseImport(text: string, directory: string): ImportSource {
  const named = /^([A-Za-z_]\w*)=(.+)$/.exec(text.trim());
  const given = (named?.[2] ?? text).trim();
  const path = resolve(directory, given);
  const format = FORMATS[extname(given).toLowerCase()];
  const refuse = (what: string, hint: string): ActionError =>
    new ActionError("import-source-invalid", `import: ${given} ${what}.`, hint);
  if (format === undefined) {
    throw refuse(
      "ends in none of .zip, .jsonl, .json and .csv",
      "Give a snapshot (.zip) or a table's file, which the ending tells the format of.",
    );
  }
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    throw new ActionError(
      "import-file-missing",
      `import: ${path} does not exist.`,
      "Name a file relative to the workspace; check that a step before this one writes it.",
    );
  }
  if (size === 0) throw refuse("is empty", "Give a file with data in it, or leave the input out.");
  if (format === "zip") {
    if (named !== null)
      throw refuse("is a snapshot, which holds its tables' names", "Leave out the table in front of the =.");
    return { path, format };
  }
  const table = named?.[1] ?? basename(path, extname(path));
  if (!/^[A-Za-z]\w*$/.test(table))
    throw refuse("has no name that a table can have", "Put the table in front: `messages=seed-1.jsonl`.");
  return { path, format, table };
}

interface ImportState {
  readonly state: string;
  readonly text: string;
  readonly documents: number;
  readonly done: readonly string[];
}

/**
 * Imports over plain HTTP: upload, wait for the summary, confirm, wait for the end (contract 7.3). Parts go strictly
 * one after the other from one buffer of 5 MiB, because local storage appends them as they arrive; for the same reason
 * none is sent twice. An import that takes longer than `timeoutMs` (10 minutes when absent) is canceled.
 * @throws ActionError import-failed, import-timeout; BackendError
 */
export async function importData(
  client: DeploymentClient,
  deps: Deps,
  source: ImportSource,
  options: { readonly mode: ImportMode; readonly timeoutMs?: number; readonly showDocuments?: boolean },
): Promise<{ documents: number; ms: number }> {
  const start = deps.clock.now();
  const deadline = start + (options.timeoutMs ?? 600_000);
  let state = await importOnce(client, deps, source, options.mode, deadline);
  // M14 refuses the first import of a snapshot into components that do not exist yet, and takes the same one then.
  if (state.state === "failed" && /New table `[^`]+` in '[^']+' has IDs that conflict/.test(state.text)) {
    deps.log.info("The backend made the snapshot's components and took no data yet; importing it again.");
    state = await importOnce(client, deps, source, options.mode, deadline);
  }
  if (state.state !== "completed") throw importFailed(source, state.text, options.showDocuments === true);
  const ms = deps.clock.now() - start;
  const into = source.table === undefined ? "" : ` into ${source.table}`;
  deps.log.info(
    `Imported ${basename(source.path)}${into}: ${state.documents} documents in ${(ms / 1000).toFixed(1)} s.`,
  );
  return { documents: state.documents, ms };
}

async function importOnce(
  client: DeploymentClient,
  deps: Deps,
  source: ImportSource,
  mode: ImportMode,
  deadline: number,
): Promise<ImportState> {
  const { uploadToken, partTokens } = await upload(client, source);
  const { format, table: tableName } = source;
  const answer = asRecord(
    await client.json("POST", "/api/import/finish_upload", {
      json: { import: { format, mode, ...(tableName === undefined ? {} : { tableName }) }, uploadToken, partTokens },
    }),
  );
  const importId = String(answer["importId"]);
  const parsed = await waitWhile(client, deps, importId, ["uploaded"], deadline);
  if (parsed.state !== "waiting_for_confirmation") return parsed;
  deps.log.foreign(parsed.text.split("\n"));
  if (format === "zip" && mode === "replaceAll" && documentsIn(parsed.text) === 0)
    throw await refuseEmpty(client, importId, source);
  await client.request("POST", "/api/perform_import", { json: { importId }, idempotent: true });
  return await waitWhile(client, deps, importId, ["waiting_for_confirmation", "in_progress"], deadline);
}

/** The `create` column of the summary, all components together: `messages | 1,234 | 0 of 0`. */
function documentsIn(summary: string): number {
  const rows = summary.matchAll(/^\S+ *\| *([\d,]+) *\|/gm);
  return [...rows].reduce((sum, row) => sum + Number((row[1] ?? "").replaceAll(",", "")), 0);
}

/** A ZIP that is no snapshot is a valid import to the backend, and empties it (contract 7.3). */
async function refuseEmpty(client: DeploymentClient, importId: string, source: ImportSource): Promise<ActionError> {
  await client.request("POST", "/api/cancel_import", { json: { importId }, idempotent: true });
  return new ActionError(
    "import-empty",
    `${basename(source.path)} holds no documents that the backend recognises, so importing it would empty every table. Nothing was changed.`,
    "Give a snapshot as `npx convex export` writes it, with the tables' folders at its top.",
  );
}

async function upload(
  client: DeploymentClient,
  source: ImportSource,
): Promise<{ uploadToken: string; partTokens: unknown[] }> {
  const uploadToken = String(asRecord(await client.json("POST", "/api/import/start_upload"))["uploadToken"]);
  const partTokens: unknown[] = [];
  const file = await open(source.path);
  try {
    const buffer = Buffer.allocUnsafe(PART_BYTES);
    for (;;) {
      const length = await fill(buffer, (rest) => file.read(rest));
      if (length === 0) break;
      let bytes = buffer.subarray(0, length);
      // The backend refuses a byte order mark in a table's file; the CLI drops it too.
      if (partTokens.length === 0 && source.format !== "zip" && bytes.indexOf("\uFEFF") === 0)
        bytes = bytes.subarray(3);
      const query = { uploadToken, partNumber: String(partTokens.length + 1) };
      partTokens.push(await client.json("POST", "/api/import/upload_part", { query, bytes, timeoutMs: 120_000 }));
      if (length < PART_BYTES) break;
    }
  } finally {
    await file.close();
  }
  return { uploadToken, partTokens };
}

/** Reads until the buffer is full or the file ends: one read may bring less. */
async function fill(buffer: Buffer, read: (rest: Buffer) => Promise<{ bytesRead: number }>): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await read(buffer.subarray(length));
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

async function readState(client: DeploymentClient, importId: string): Promise<ImportState> {
  const document = asRecord(await client.systemQuery("_system/cli/queryImport", { importId }));
  const state = asRecord(document["state"]);
  const text = state["error_message"] ?? state["message_to_confirm"] ?? state["progress_message"] ?? "";
  const done = state["checkpoint_messages"];
  return {
    state: String(state["state"] ?? "unknown"),
    text: String(text),
    documents: Number(state["num_rows_written"] ?? 0),
    done: Array.isArray(done) ? done.map(String) : [],
  };
}

async function waitWhile(
  client: DeploymentClient,
  deps: Deps,
  importId: string,
  states: readonly string[],
  deadline: number,
): Promise<ImportState> {
  let told = deps.clock.now();
  for (let waitMs = 20; ; waitMs = Math.min(waitMs * 2, 500)) {
    const state = await readState(client, importId);
    if (!states.includes(state.state)) return state;
    const now = deps.clock.now();
    if (now >= deadline) throw await canceled(client, importId, state);
    if (now - told >= 5000) {
      told = now;
      deps.log.info(
        [...state.done.slice(-1), state.text].filter((part) => part !== "").join("; ") || `Import: ${state.state}`,
      );
    }
    await deps.clock.sleep(waitMs);
  }
}

async function canceled(client: DeploymentClient, importId: string, last: ImportState): Promise<ActionError> {
  const stopped = await client.request("POST", "/api/cancel_import", { json: { importId }, idempotent: true }).then(
    () => "it was canceled, nothing was changed",
    () => "it could not be canceled and may still go on",
  );
  const seen = last.text === "" ? last.state : `${last.state}, ${last.text}`;
  return new ActionError(
    "import-timeout",
    `The import did not end in time; ${stopped}. Last state: ${seen}.`,
    "The backend repeats an import that fails inside, for minutes: a stored file that is damaged does that. Check the snapshot, or look at the backend's log.",
  );
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/already exists\. Please choose a new table name/, "The table holds data already; import into a fresh backend."],
  [/does not match the schema/, "Change the data or the schema: every document has to fit the deployed schema."],
  [/invalid zip file/, "The file is no snapshot or is damaged; download it again."],
  [/schema changed/, "Do not deploy while an import runs."],
  [/backfilling indexes/, "Wait until the deploy before it has built its indexes."],
  [
    /wasn't valid JSON|Not a JSON array|Not valid JSON/,
    "Write .jsonl with one document a line and no blank lines, .json as one array.",
  ],
];

function importFailed(source: ImportSource, text: string, showDocuments: boolean): ActionError {
  const reason = text.replace(/^Hit an error while importing:\s*/, "");
  const hint =
    HINTS.find(([pattern]) => pattern.test(reason))?.[1] ?? "Correct the file; the text is the backend's own.";
  return new ActionError(
    "import-failed",
    `The import of ${basename(source.path)} failed, the data are as before: ${showDocuments ? reason : withoutDocuments(reason)}`,
    hint,
  );
}

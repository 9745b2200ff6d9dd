import { accessSync, constants, type Stats, statSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { DeploymentClient } from "./client.ts";
import { withoutDocuments } from "./documents.ts";
import { type ImportFile, type ImportFormat, type ImportMode, runImport } from "./import-run.ts";
import type { ImportState } from "./import-state.ts";

export type { ImportFormat, ImportMode } from "./import-run.ts";

export interface ImportSource extends ImportFile {
  /** Absolute. */
  readonly path: string;
}

const FORMATS: Readonly<Record<string, ImportFormat>> = {
  ".zip": "zip",
  ".jsonl": "jsonLines",
  ".json": "jsonArray",
  ".csv": "csv",
};

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
  const file = look(path);
  if (!file.isFile()) throw refuse("is no file", "Name a snapshot (.zip) or a table's file.");
  if (file.size === 0) throw refuse("is empty", "Give a file with data in it, or leave the input out.");
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

/** @throws ActionError import-file-missing, also for a path that cannot be followed */
function look(path: string): Stats {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path);
  } catch (error) {
    const why = systemCode(error) === "ENOENT" ? "does not exist" : `cannot be read: ${messageOf(error)}`;
    throw new ActionError(
      "import-file-missing",
      `import: ${path} ${why}.`,
      "Name a file relative to the workspace; check that a step before this one writes it.",
      { cause: error },
    );
  }
}

/**
 * Imports a snapshot or a table's file into a backend (contract 7.3). One that takes longer than `timeoutMs` (10 minutes
 * when absent) is canceled.
 * @throws ActionError import-failed, import-empty, import-timeout; BackendError
 */
export async function importData(
  client: DeploymentClient,
  deps: Deps,
  source: ImportSource,
  options: { readonly mode: ImportMode; readonly timeoutMs?: number; readonly showDocuments?: boolean },
): Promise<{ documents: number; ms: number }> {
  const start = deps.clock.now();
  const deadline = start + (options.timeoutMs ?? 600_000);
  const confirm = (summary: ImportState): void => {
    deps.log.foreign(summary.text.split("\n"));
    // A ZIP that is no snapshot is a valid import to the backend, and empties it (contract 7.3).
    const { format } = source;
    if (format === "zip" && options.mode === "replaceAll" && documentsIn(summary.text) === 0) throw empty(source);
  };
  const once = (): Promise<ImportState> =>
    runImport(client, deps, source, { mode: options.mode, timeoutMs: deadline - deps.clock.now(), confirm });
  let state = await once();
  if (isComponentClash(state)) {
    deps.log.info("The backend made the snapshot's components and took no data yet; importing it again.");
    state = await once();
  }
  if (state.state !== "completed") throw importFailed(source, state.text, options.showDocuments === true);
  const ms = deps.clock.now() - start;
  const into = source.table === undefined ? "" : ` into ${source.table}`;
  deps.log.info(
    `Imported ${basename(source.path)}${into}: ${state.documents} documents in ${(ms / 1000).toFixed(1)} s.`,
  );
  return { documents: state.documents, ms };
}

/**
 * M14 refuses the first import of a snapshot into components that do not exist yet, makes the components, and takes the
 * same snapshot then (contract 7.3).
 */
export function isComponentClash({ state, text }: ImportState): boolean {
  return state === "failed" && /New table `[^`]+` in '[^']+' has IDs that conflict/.test(text);
}

/** The `create` column of the summary, all components together: `messages | 1,234 | 0 of 0`. */
function documentsIn(summary: string): number {
  const rows = summary.matchAll(/^\S+ *\| *([\d,]+) *\|/gm);
  return [...rows].reduce((sum, row) => sum + Number((row[1] ?? "").replaceAll(",", "")), 0);
}

function empty(source: ImportSource): ActionError {
  return new ActionError(
    "import-empty",
    `${basename(source.path)} holds no documents that the backend recognises, so importing it would empty every table. Nothing was changed.`,
    "Give a snapshot as `npx convex export` writes it, with the tables' folders at its top.",
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

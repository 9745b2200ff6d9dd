/** `_snapshot_imports` documents (contract 7.3): what was asked for, the states, and how progress changes them. */
import type { Document, Fields, ReadTransaction, Value, WriteTransaction } from "../types.ts";
import { isFields } from "../values.ts";
import { ImportCanceled } from "./import-error.ts";
import type { Report } from "./import-run.ts";
import type { ImportMode } from "./plan.ts";
import type { ImportFormat } from "./source.ts";
import { keyOf } from "./table-numbers.ts";

export const IMPORTS = "_snapshot_imports";

/** What was asked for, as the document holds it. */
export interface ImportRequest {
  readonly mode: ImportMode;
  readonly format: ImportFormat;
  readonly table: string | undefined;
  readonly component: string;
  readonly blob: string;
}

const MODES: Record<string, ImportMode> = {
  RequireEmpty: "requireEmpty",
  Append: "append",
  Replace: "replace",
  ReplaceAll: "replaceAll",
};
const FORMATS: Record<string, ImportFormat> = { zip: "zip", csv: "csv", jsonl: "jsonLines", json_array: "jsonArray" };

/** The document without what is the stand-in's own. */
export function view({ blob: _, ...document }: Document): Fields {
  return document;
}

export function stateOf(document: Document): string {
  const state = document["state"];
  return isFields(state) ? String(state["state"]) : "";
}

export function nextImport(tx: ReadTransaction): Document | undefined {
  return tx.scan("", IMPORTS).find((document) => ["uploaded", "in_progress"].includes(stateOf(document)));
}

export function requestOf(document: Document): ImportRequest {
  const format = document["format"];
  const { format: name, table } = isFields(format) ? format : {};
  const component = document["component_path"];
  return {
    mode: MODES[String(document["mode"])] ?? "requireEmpty",
    format: FORMATS[String(name)] ?? "zip",
    table: typeof table === "string" ? table : undefined,
    component: typeof component === "string" ? component : "",
    blob: String(document["blob"]),
  };
}

/** @throws ImportCanceled when the import has ended meanwhile */
export function change(tx: WriteTransaction, id: string, update: (fields: Fields) => Fields): void {
  const document = tx.get("", id);
  if (document === null || !["uploaded", "in_progress"].includes(stateOf(document))) throw new ImportCanceled();
  const { _id, _creationTime, ...fields } = document;
  tx.replace("", id, update(fields));
}

export function reported(fields: Fields, { progress, checkpoint, table = [] }: Report): Fields {
  const state = isFields(fields["state"]) ? fields["state"] : {};
  const before = Array.isArray(state["checkpoint_messages"]) ? state["checkpoint_messages"] : [];
  const messages: Value[] = checkpoint === undefined ? before : [...before, checkpoint];
  const shown = progress ?? state["progress_message"] ?? "Importing";
  return {
    state: { checkpoint_messages: messages, progress_message: shown, state: "in_progress" },
    checkpoints: tableReports(fields["checkpoints"] ?? null, table),
  };
}

function tableReports(list: Value, reports: NonNullable<Report["table"]>): Value {
  if (!Array.isArray(list)) return list;
  return list.map((entry) => {
    if (!isFields(entry)) return entry;
    const component = entry["component_path"];
    const key = keyOf(typeof component === "string" ? component : "", String(entry["display_table_name"]));
    const report = reports.find((each) => each.key === key);
    if (report === undefined) return entry;
    return {
      ...entry,
      ...(report.written === undefined ? {} : { num_rows_written: BigInt(report.written) }),
      ...(report.tablet === undefined ? {} : { tablet_id: tabletText(report.tablet) }),
    };
  });
}

/** 22 characters, as tablet ids are shown. */
function tabletText(uuid: string): string {
  return Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url");
}

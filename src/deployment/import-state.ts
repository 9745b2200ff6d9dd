import type { Deps } from "../system/deps.ts";
import type { DeploymentClient } from "./client.ts";
import { asRecord } from "./json.ts";

/** One table of an import as the backend counts it (contract 7.3). */
export interface ImportTable {
  /** Path of the component, `""` for the root. */
  readonly component: string;
  /** `_storage` for the files. */
  readonly name: string;
  /** Documents that were there before. */
  readonly existing: number;
  readonly deleted: number;
  /** How many are to be written, and are so far. */
  readonly total: number;
  readonly written: number;
}

/** Where an import stands. */
export interface ImportState {
  readonly id: string;
  /** `uploaded`, `waiting_for_confirmation`, `in_progress`, `completed`, `failed`, or `unknown`. */
  readonly state: string;
  /** The error, the summary that waits to be confirmed, or the progress. */
  readonly text: string;
  /** Written in all, once it is completed. */
  readonly documents: number;
  /** What is done so far, in the backend's words. */
  readonly done: readonly string[];
  /** Empty while the file has not been read. */
  readonly tables: readonly ImportTable[];
}

function tableOf(value: unknown): ImportTable {
  const entry = asRecord(value);
  return {
    component: String(entry["component_path"] ?? ""),
    name: String(entry["display_table_name"] ?? ""),
    existing: Number(entry["existing_rows_in_table"] ?? 0),
    deleted: Number(entry["existing_rows_to_delete"] ?? 0),
    total: Number(entry["total_num_rows_to_write"] ?? 0),
    written: Number(entry["num_rows_written"] ?? 0),
  };
}

export async function readImport(client: DeploymentClient, id: string, signal?: AbortSignal): Promise<ImportState> {
  const options = { timeoutMs: 15_000, ...(signal === undefined ? {} : { signal }) };
  const document = asRecord(await client.systemQuery("_system/cli/queryImport", { importId: id }, options));
  const state = asRecord(document["state"]);
  const text = state["error_message"] ?? state["message_to_confirm"] ?? state["progress_message"] ?? "";
  const [done, tables] = [state["checkpoint_messages"], document["checkpoints"]];
  return {
    id,
    state: String(state["state"] ?? "unknown"),
    text: String(text),
    documents: Number(state["num_rows_written"] ?? 0),
    done: Array.isArray(done) ? done.map(String) : [],
    tables: Array.isArray(tables) ? tables.map(tableOf) : [],
  };
}

export function hasEnded({ state }: ImportState): boolean {
  return state === "completed" || state === "failed";
}

/**
 * Ends an import of ours and looks whether that worked. Bounded, and it never throws.
 * @returns the last state seen; undefined when the backend does not answer
 */
export async function cancelImport(
  client: DeploymentClient,
  deps: Pick<Deps, "clock">,
  id: string,
): Promise<ImportState | undefined> {
  // Refused where it has ended already, which the state then shows.
  await client
    .request("POST", "/api/cancel_import", { json: { importId: id }, idempotent: true, timeoutMs: 5000 })
    .catch(() => undefined);
  let last: ImportState | undefined;
  for (let tries = 0; tries < 10; tries += 1) {
    last = await readImport(client, id).catch(() => undefined);
    if (last === undefined || hasEnded(last)) return last;
    await deps.clock.sleep(100);
  }
  return last;
}

import { ActionError, messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { BackendError } from "./backend-error.ts";
import type { DeploymentClient } from "./client.ts";
import { cancelImport, hasEnded, type ImportState, readImport } from "./import-state.ts";
import { uploadFile } from "./import-upload.ts";
import { asRecord } from "./json.ts";

export type ImportFormat = "zip" | "jsonLines" | "jsonArray" | "csv";
export type ImportMode = "requireEmpty" | "append" | "replace" | "replaceAll";

/** What is imported. */
export interface ImportFile {
  readonly path: string;
  readonly format: ImportFormat;
  /** Absent for a snapshot, which holds its tables' names. */
  readonly table?: string;
}

export interface ImportOptions {
  readonly mode: ImportMode;
  /** From the upload to the end. What takes longer is canceled. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Told before anything can change, so that a later step can end the import too. */
  readonly onImport?: (id: string) => void;
  /** Looks at what the backend is about to do; what it throws cancels the import, and nothing changes. */
  readonly confirm?: (summary: ImportState) => void | Promise<void>;
}

/** Longest time without any answer of the backend: it may be restarted, and goes on with an import then. */
const LONGEST_SILENCE_MS = 120_000;
/** Longest wait for the backend to know its own tables after a start. */
const COUNTING_MS = 60_000;

/**
 * Waits until a backend that has just started knows its tables: an import that comes before that ends its worker, and
 * then rests for a while (contract 7.3, 7.4). Bounded; what else may be wrong, the import will tell.
 */
export async function tablesCounted(client: DeploymentClient, deps: Deps, signal?: AbortSignal): Promise<void> {
  const deadline = deps.clock.now() + COUNTING_MS;
  const options = signal === undefined ? {} : { signal };
  for (;;) {
    try {
      await client.systemQuery("_system/cli/tableSize", { tableName: "_storage" }, options);
      return;
    } catch (error) {
      const counting = error instanceof BackendError && error.backendCode === "TableSummariesUnavailable";
      if (!counting && !(error instanceof ActionError)) throw error;
      if (!counting || deps.clock.now() >= deadline) return;
    }
    deps.log.info("The backend has just started and counts its tables; waiting for that.");
    await deps.clock.sleep(1000, signal);
  }
}

async function finishUpload(
  client: DeploymentClient,
  deps: Deps,
  file: ImportFile,
  { mode, signal }: ImportOptions,
  deadline: number,
): Promise<string> {
  const limits = signal === undefined ? {} : { signal };
  const { format, table: tableName, path } = file;
  const uploaded = await uploadFile(client, deps, path, { ...limits, deadline, dropMark: format !== "zip" });
  const json = { import: { format, mode, ...(tableName === undefined ? {} : { tableName }) }, ...uploaded };
  const answer = await client.json("POST", "/api/import/finish_upload", { ...limits, json });
  return String(asRecord(answer)["importId"]);
}

/** One running import, watched until it leaves some states. */
class Watch {
  readonly #client: DeploymentClient;
  readonly #deps: Deps;
  readonly #deadline: number;
  readonly #signal: AbortSignal | undefined;
  #told: number;
  #answered: number;
  last: ImportState;

  constructor(client: DeploymentClient, deps: Deps, id: string, deadline: number, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#deps = deps;
    this.#deadline = deadline;
    this.#signal = signal;
    this.#told = deps.clock.now();
    this.#answered = this.#told;
    this.last = { id, state: "uploaded", text: "", documents: 0, done: [], tables: [] };
  }

  /** @throws Late at the deadline; BackendError when the backend stays away; the signal's reason */
  async while(states: readonly string[]): Promise<ImportState> {
    const { clock } = this.#deps;
    for (let waitMs = 20; ; waitMs = Math.min(waitMs * 2, 500)) {
      if (await this.#read()) {
        if (!states.includes(this.last.state)) return this.last;
        this.#tell();
      }
      if (clock.now() >= this.#deadline) throw new Late();
      await clock.sleep(waitMs, this.#signal);
    }
  }

  async #read(): Promise<boolean> {
    const { clock, log } = this.#deps;
    try {
      this.last = await readImport(this.#client, this.last.id, this.#signal);
      this.#answered = clock.now();
      return true;
    } catch (error) {
      const passing = error instanceof BackendError && (error.status === 0 || error.status >= 500);
      if (!passing || clock.now() - this.#answered > LONGEST_SILENCE_MS) throw error;
      log.info(`${messageOf(error)} The import goes on meanwhile.`);
      return false;
    }
  }

  #tell(): void {
    const now = this.#deps.clock.now();
    if (now - this.#told < 5000) return;
    this.#told = now;
    const { done, text, state } = this.last;
    this.#deps.log.info([...done.slice(-1), text].filter((part) => part !== "").join("; ") || `Import: ${state}`);
  }
}

class Late extends Error {}

/**
 * Imports a file over plain HTTP: upload, wait for the summary, confirm, wait for the end (contract 7.3). Whatever goes
 * wrong before that end, the import is canceled.
 * @returns the last state, `completed` or `failed` with the backend's text
 * @throws ActionError `import-timeout`; BackendError; what `confirm` throws; the signal's reason
 */
export async function runImport(
  client: DeploymentClient,
  deps: Deps,
  file: ImportFile,
  options: ImportOptions,
): Promise<ImportState> {
  const { signal, mode } = options;
  const deadline = deps.clock.now() + options.timeoutMs;
  await tablesCounted(client, deps, signal);
  const id = await finishUpload(client, deps, file, options, deadline);
  options.onImport?.(id);
  const watch = new Watch(client, deps, id, deadline, signal);
  try {
    const read = await watch.while(["uploaded"]);
    if (hasEnded(read)) return read;
    await options.confirm?.(read);
    signal?.throwIfAborted();
    await client.request("POST", "/api/perform_import", { json: { importId: id }, idempotent: true });
    return await watch.while(["waiting_for_confirmation", "in_progress"]);
  } catch (error) {
    const after = await cancelImport(client, deps, id);
    if (!(error instanceof Late)) throw error;
    // It may have come to its end just then.
    if (after?.state === "completed") return after;
    throw late(watch.last, after, mode);
  }
}

function late(last: ImportState, after: ImportState | undefined, mode: ImportMode): ActionError {
  const kept = mode === "append" ? "rows that it added already may stay" : "nothing was changed";
  const what = after?.state === "failed" ? `it was canceled, ${kept}` : "it could not be canceled and may still go on";
  const seen = last.text === "" ? last.state : `${last.state}, ${last.text}`;
  return new ActionError(
    "import-timeout",
    `The import did not end in time; ${what}. Last state: ${seen}.`,
    "The backend repeats an import that fails inside, for minutes: a stored file that is damaged does that. Check the snapshot, or look at the backend's log.",
  );
}

import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { isMissing } from "../deployment/connection.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";
import { ExportProgress } from "./export-progress.ts";
import { type ExportState, isOpen, limits, readLatest, readOwn } from "./export-state.ts";

/** Who has to know of an export, whatever happens next. */
export interface ExportWatch {
  /** Told before each request, with the newest export of that moment: whoever is killed behind it knows no id yet. */
  readonly onRequest?: (newest: string | undefined) => void;
  /** Told as soon as there is something that has to be discarded, whatever happens next. */
  readonly onRequested?: (id: string) => void;
}

export interface ExportOptions extends ExportWatch {
  readonly includeStorage: boolean;
  /** From the request to the finished ZIP, the wait for somebody else's export included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** An export that can be downloaded. */
export interface CompletedExport {
  readonly id: string;
  /** Of the database snapshot: nanoseconds since the epoch as a decimal number, too large for a JavaScript one. */
  readonly timestamp: string;
  /** Of the ZIP. */
  readonly bytes: number;
  /** From the request to the end. */
  readonly ms: number;
}

/** Longest time without any answer of the backend while an export runs: it may be restarted meanwhile. */
const LONGEST_SILENCE_MS = 120_000;
/** Expired for so long, a finished export goes with the next cleaning of the backend (contract 7.4). */
const LONG_EXPIRED_MS = 40 * 86_400_000;

function busy(other: ExportState, ms: number): ActionError {
  return new ActionError(
    "export-busy",
    `Another export (${other.id}) was running all the time for ${seconds(ms)}; a backend makes one at a time. Last state: ${other.state}${other.progress === "" ? "" : `, ${other.progress}`}.`,
    `Wait until it is done, or end it: POST /api/export/cancel/${other.id} with the admin key. One that never ends usually meets a lost file (docs/troubleshooting.md).`,
  );
}

/** Waits until nobody's export is running. */
async function waitForOthers(
  client: DeploymentClient,
  deps: Deps,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const start = deps.clock.now();
  let told = 0;
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2000)) {
    const other = await readLatest(client, signal);
    if (other === undefined || !isOpen(other)) return;
    const now = deps.clock.now();
    if (now >= deadline) throw busy(other, now - start);
    if (now - told >= 5000) {
      told = now;
      const at = other.progress === "" ? other.state : other.progress;
      deps.log.info(`Waiting for the export of somebody else (${at}, ${seconds(now - start)}).`);
    }
    await deps.clock.sleep(waitMs, signal);
  }
}

/**
 * Asks for an export; returns its id. A cancelled job does not cut off the request itself: whether it was taken would
 * not be known, and nobody would cancel the export.
 */
async function request(
  client: DeploymentClient,
  deps: Deps,
  options: ExportOptions,
  deadline: number,
): Promise<string> {
  const { signal, includeStorage } = options;
  const query = { includeStorage: String(includeStorage) };
  for (;;) {
    const before = (await readLatest(client, signal))?.id;
    options.onRequest?.(before);
    try {
      await client.request("POST", "/api/export/request/zip", { query, ...limits(undefined) });
      return await newId(client, deps, before);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      if (error.backendCode === "ExportInProgress") {
        await waitForOthers(client, deps, deadline, signal);
        continue;
      }
      // Cut off or answered late: only the list of exports tells whether it was taken.
      if (error.status !== 0) throw error;
      deps.log.info(`${messageOf(error)} Looking whether the export was taken all the same.`);
      const after = await readLatest(client);
      if (after !== undefined && after.id !== before) return after.id;
      if (deps.clock.now() >= deadline) throw error;
      await deps.clock.sleep(1000, signal);
    }
  }
}

/** An answered request is visible at once (contract 7.1); a moment is granted all the same. */
async function newId(client: DeploymentClient, deps: Deps, before: string | undefined): Promise<string> {
  for (let tries = 0; tries < 50; tries += 1) {
    const latest = await readLatest(client);
    if (latest !== undefined && latest.id !== before) return latest.id;
    await deps.clock.sleep(100);
  }
  throw new ActionError(
    "export-failed",
    "The backend took the request for an export, and shows none.",
    "Look at the backend's log for the time of this run.",
  );
}

async function wait(
  client: DeploymentClient,
  deps: Deps,
  id: string,
  options: ExportOptions,
  deadline: number,
): Promise<ExportState> {
  const { signal } = options;
  const progress = new ExportProgress(deps);
  let answered = deps.clock.now();
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 1.5, 2000)) {
    try {
      const own = await readOwn(client, id, signal);
      answered = deps.clock.now();
      if (!isOpen(own)) return own;
      progress.seen(own.progress);
    } catch (error) {
      const passing = error instanceof BackendError && (error.status === 0 || error.status >= 500);
      if (!passing || deps.clock.now() - answered > LONGEST_SILENCE_MS) throw error;
      deps.log.info(`${messageOf(error)} The export goes on meanwhile.`);
    }
    if (deps.clock.now() >= deadline || progress.hopeless()) throw progress.timeout(options.timeoutMs);
    await deps.clock.sleep(waitMs, signal);
  }
}

/**
 * Makes the backend write a snapshot and waits for it: request, poll, end (contract 7.1). If that fails, in time or
 * otherwise, the export is canceled first.
 * @throws ActionError `export-busy`, `export-timeout`, `export-failed`; BackendError; the signal's reason
 */
export async function exportSnapshot(
  client: DeploymentClient,
  deps: Deps,
  options: ExportOptions,
): Promise<CompletedExport> {
  const start = deps.clock.now();
  const deadline = start + options.timeoutMs;
  const id = await request(client, deps, options, deadline);
  options.onRequested?.(id);
  try {
    const { state, timestamp, bytes } = await wait(client, deps, id, options, deadline);
    if (state !== "completed") throw ended(id, state);
    if (timestamp === undefined || bytes === undefined || !Number.isSafeInteger(bytes)) {
      throw new ActionError(
        "export-failed",
        `The backend tells no time or no size of its finished export ${id}.`,
        "A proxy may change the headers of its answers; go to the backend directly.",
      );
    }
    return { id, timestamp, bytes, ms: deps.clock.now() - start };
  } catch (error) {
    await discardExport(client, deps, id);
    throw error;
  }
}

function ended(id: string, state: string): ActionError {
  return new ActionError(
    "export-failed",
    state === "canceled"
      ? `The export ${id} was canceled by somebody else.`
      : `The backend gave up the export ${id}: its state is ${state}.`,
    state === "canceled"
      ? "Run again; check whether another job cancels exports of this deployment."
      : "The cause is in the backend's own log; look there for the time of this run.",
  );
}

/**
 * Ends an export of ours, in whatever state it is, so that it costs the server nothing: a running one is canceled, a
 * finished one expires. Never throws; bounded by a few short calls.
 */
export async function discardExport(
  client: DeploymentClient,
  deps: Deps,
  id: string,
): Promise<"canceled" | "expired" | "left"> {
  const options = { timeoutMs: 5000, idempotent: true };
  try {
    // 503 is a race with the worker, and tried again; 500 is one that has ended (contract 7.1).
    await client.request("POST", `/api/export/cancel/${id}`, options);
    return "canceled";
  } catch (error) {
    if (!(error instanceof BackendError) || isMissing(error)) return "left";
    if (error.status !== 500) deps.log.info(`The export ${id} could not be canceled: ${messageOf(error)}`);
  }
  return (await expireExport(client, deps, id)) ? "expired" : "left";
}

/**
 * Lets a finished export expire, so that exports do not pile up on the server. False where that is not possible
 * (releases before 2025-05-12): it then goes by itself after 44 days. Never throws.
 */
export async function expireExport(client: DeploymentClient, deps: Deps, id: string): Promise<boolean> {
  const expirationTsNs = (deps.clock.now() - LONG_EXPIRED_MS) * 1_000_000;
  try {
    const options = { json: { expirationTsNs }, timeoutMs: 5000, idempotent: true };
    await client.request("POST", `/api/export/set_expiration/${id}`, options);
    return true;
  } catch (error) {
    deps.log.debug(`The export ${id} could not be made to expire: ${messageOf(error)}`);
    return false;
  }
}

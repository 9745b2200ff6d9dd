/** Snapshot imports (contract 7.3): the one worker that reads and carries them out, one after another. */
import type { Knobs } from "../knobs.ts";
import type { Log } from "../log.ts";
import {
  type Blobs,
  type Document,
  type Fields,
  FunctionError,
  type Like,
  type Store,
  type SystemQuery,
  type WriteTransaction,
} from "../types.ts";
import { display } from "../values.ts";
import {
  change,
  IMPORTS,
  type ImportRequest,
  nextImport,
  reported,
  requestOf,
  stateOf,
  view,
} from "./import-documents.ts";
import { ImportCanceled, ImportError } from "./import-error.ts";
import { ImportRun, type Report } from "./import-run.ts";
import { checkpoints, confirmation, makePlan } from "./plan.ts";
import { type ImportSource, readSource } from "./source.ts";

const LISTED = 20;
const RETRIES = 5;
/** Five of them make the six minutes that were seen. */
const RETRY_MS = 72_000;
/** How long the worker sleeps after a canceled run, at most 30 s with the real one. */
const PAUSE_AFTER_CANCEL_MS = 12_000;
const GIVEN_UP = "Your request couldn't be completed. Try again later.";

export interface ImportsDeps {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly like: Like;
  readonly knobs: Pick<Knobs, "retryMs" | "importRowDelayMs">;
  readonly log: Log;
}

export class Imports {
  readonly #deps: ImportsDeps;
  #wake: (() => void) | undefined;
  #shorten: (() => void) | undefined;
  #stopped = false;

  constructor(deps: ImportsDeps) {
    this.#deps = deps;
  }

  /** `_system/cli/queryImport` */
  readonly query: SystemQuery = ({ tx, args }) => {
    const id = args["importId"] ?? null;
    if (typeof id !== "string" || tx.tableOfId("", id)?.name !== IMPORTS) {
      const why = `Path: .importId\nValue: ${display(id)}\nValidator: v.id("${IMPORTS}")`;
      throw new FunctionError(`Uncaught Error: Value does not match validator.\n${why}\n`);
    }
    const document = tx.get("", id);
    return document === null ? null : view(document);
  };

  /** `_system/cli/queryImport:list`: the newest first. */
  readonly list: SystemQuery = ({ tx }) => {
    const newest = [...tx.scan("", IMPORTS)].sort((a, b) => b._creationTime - a._creationTime);
    return newest.slice(0, LISTED).map(view);
  };

  /** Starts the worker; an import that was under way goes on. */
  start(): void {
    void this.#work();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
    this.#shorten?.();
  }

  /** Something to do: an upload was finished, an import confirmed. */
  poke(): void {
    this.#wake?.();
  }

  /** A canceled import that the worker waits for is not waited for to the end. */
  canceled(): void {
    this.#shorten?.();
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      const next = this.#deps.store.read(nextImport);
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else {
        await this.#step(next).catch((error: unknown) => this.#fail(next._id, error));
      }
    }
  }

  async #step(document: Document): Promise<void> {
    const request = requestOf(document);
    const source = await this.#read(request);
    if (stateOf(document) === "uploaded") {
      await this.#update(document._id, (fields, tx) => {
        const plan = makePlan(tx, source, request.mode);
        const state = { ...confirmation(plan, request.mode), state: "waiting_for_confirmation" };
        return { ...fields, checkpoints: checkpoints(plan, request.mode), state };
      });
    } else await this.#carryOut(document._id, request, source);
  }

  async #read({ blob, format, table, component }: ImportRequest): Promise<ImportSource> {
    const bytes = await this.#deps.blobs.get("snapshot_imports", blob);
    if (bytes === undefined) throw new Error(`the upload ${blob} is gone`);
    return readSource(bytes, format, table, component, this.#deps.like === "first");
  }

  /** System failures are tried again; the worker does nothing else meanwhile. */
  async #carryOut(id: string, request: ImportRequest, source: ImportSource): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#run(id, request, source);
      } catch (error) {
        if (error instanceof ImportCanceled) return await this.#pause(PAUSE_AFTER_CANCEL_MS);
        if (error instanceof ImportError || this.#stopped || failures >= RETRIES) throw error;
        this.#log(error);
        await this.#pause(RETRY_MS);
      }
    }
  }

  async #run(id: string, request: ImportRequest, source: ImportSource): Promise<void> {
    const { store, blobs, like, knobs } = this.#deps;
    const { mode } = request;
    const plan = store.read((tx) => makePlan(tx, source, mode === "requireEmpty" ? "append" : mode));
    const report = async (change: Report) => {
      await this.#update(id, (fields) => ({ ...fields, ...reported(fields, change) }));
    };
    const run = new ImportRun({ store, blobs, like, knobs, mode, source, plan, report });
    await run.run((tx, rows) => {
      const timestamp = BigInt(Date.now()) * 1_000_000n;
      change(tx, id, (fields) => ({
        ...fields,
        state: { num_rows_written: BigInt(rows), state: "completed", timestamp },
      }));
    });
  }

  async #fail(id: string, error: unknown): Promise<void> {
    if (error instanceof ImportCanceled || this.#stopped) return;
    if (!(error instanceof ImportError)) this.#log(error);
    const error_message = error instanceof ImportError ? error.message : GIVEN_UP;
    await this.#update(id, (fields) => ({ ...fields, state: { error_message, state: "failed" } })).catch(
      (late: unknown) => {
        if (!(late instanceof ImportCanceled)) throw late;
      },
    );
  }

  async #update(id: string, change_: (fields: Fields, tx: WriteTransaction) => Fields): Promise<void> {
    await this.#deps.store.write((tx) => change(tx, id, (fields) => change_(fields, tx)));
  }

  #log(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#deps.log.write("ERROR", "common::errors", `SnapshotImportWorker died: ${text}`);
  }

  #pause(ms: number): Promise<void> {
    const { knobs } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<void>();
    let timer = setTimeout(resolve, knobs.retryMs ?? ms);
    this.#shorten = () => {
      clearTimeout(timer);
      if (this.#stopped) resolve();
      else timer = setTimeout(resolve, Math.min(knobs.retryMs ?? ms, PAUSE_AFTER_CANCEL_MS));
    };
    return promise.finally(() => {
      clearTimeout(timer);
      this.#shorten = undefined;
    });
  }
}

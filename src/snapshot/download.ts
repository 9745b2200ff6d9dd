import { createHash } from "node:crypto";
import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { Meter, sizeText } from "../runner/meter.ts";
import type { Deps } from "../system/deps.ts";
import { release } from "../system/memory.ts";
import type { CompletedExport } from "./export.ts";

/** Where the bytes go, in order. It keeps none of the buffers that it gets. */
export interface Sink {
  write(bytes: Buffer): Promise<void>;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Longest time without a byte; 60 s when absent. */
  readonly silenceMs?: number;
}

const SILENCE_MS = 60_000;
/** Tries without a single new byte; a download that goes on each time may be cut more often. */
const MOST_IDLE_TRIES = 5;
const MOST_TRIES = 50;

/** A download that ended early, and may come to its end next time. */
class Cut extends Error {}

function passing(error: unknown): boolean {
  if (error instanceof Cut) return true;
  if (error instanceof BackendError) return error.status === 0 || error.status === 429 || error.status >= 500;
  // What breaks while the body comes is a fault of the connection.
  return !(error instanceof ActionError);
}

function changed(id: string): ActionError {
  return new ActionError(
    "export-changed",
    `The backend sent other bytes of export ${id} the second time, after the connection broke.`,
    "Run again. If it stays, something between this job and the backend changes what it sends.",
  );
}

/** One download as far as it has come, over all its tries. */
class Download {
  readonly #hash = createHash("sha256");
  readonly #export: CompletedExport;
  readonly #sink: Sink;
  readonly #meter: Meter;
  received = 0;

  constructor(completed: CompletedExport, sink: Sink, deps: Deps) {
    this.#export = completed;
    this.#sink = sink;
    this.#meter = new Meter("Downloaded", completed.bytes, deps);
  }

  get sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  /**
   * Takes a body that begins at byte 0, since the backend ignores Range: what is there already is not taken again, but
   * proved to be the same.
   */
  async take(body: AsyncIterable<Buffer>): Promise<void> {
    const known = this.received;
    const again = createHash("sha256");
    let at = 0;
    for await (const bytes of body) {
      const old = bytes.subarray(0, Math.max(0, Math.min(known - at, bytes.length)));
      if (old.length > 0) {
        again.update(old);
        at += old.length;
        if (at === known && again.digest("hex") !== this.sha256) throw changed(this.#export.id);
      }
      const fresh = bytes.subarray(old.length);
      if (fresh.length === 0) continue;
      at += fresh.length;
      if (at > this.#export.bytes) throw tooMuch(this.#export);
      this.#hash.update(fresh);
      await this.#sink.write(fresh);
      this.received = at;
      this.#meter.add(fresh.length);
      release(bytes);
    }
    if (at < this.#export.bytes) {
      throw new Cut(`the connection ended after ${sizeText(at)} of ${sizeText(this.#export.bytes)}`);
    }
  }
}

function tooMuch({ bytes }: CompletedExport): ActionError {
  return new ActionError(
    "export-changed",
    `The backend says that the snapshot has ${bytes} bytes, and more came.`,
    "Something between this job and the backend changes what it sends; go to it directly.",
  );
}

async function once(
  client: DeploymentClient,
  completed: CompletedExport,
  download: Download,
  options: DownloadOptions,
): Promise<void> {
  const { signal, silenceMs = SILENCE_MS } = options;
  // By time, as the CLI does it and every release knows it; the id alone would be enough for newer ones.
  const path = `/api/export/zip/${completed.timestamp}`;
  const answer = await client.stream(path, { timeoutMs: silenceMs, ...(signal === undefined ? {} : { signal }) });
  const announced = answer.headers["content-length"];
  if (announced !== undefined && Number(announced) !== completed.bytes) {
    answer.body.destroy();
    throw new ActionError(
      "export-changed",
      `The backend says that the snapshot has ${completed.bytes} bytes, and sends ${announced}.`,
      "Something between this job and the backend changes what it sends; go to it directly.",
    );
  }
  await download.take(answer.body as AsyncIterable<Buffer>);
}

/**
 * Downloads a finished export into a sink, streamed. After a cut it starts again, bounded, and goes on where it was;
 * length and content are proved to be those of one and the same file.
 * @returns the SHA-256 of the ZIP, hex
 * @throws ActionError `export-cut`, `export-changed`, what the sink throws; BackendError; the signal's reason
 */
export async function downloadExport(
  client: DeploymentClient,
  deps: Deps,
  completed: CompletedExport,
  sink: Sink,
  options: DownloadOptions = {},
): Promise<string> {
  const download = new Download(completed, sink, deps);
  for (let tries = 1, idle = 0; ; tries += 1) {
    const before = download.received;
    try {
      await once(client, completed, download, options);
      return download.sha256;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!passing(error)) throw error;
      if (download.received === completed.bytes) return download.sha256;
      idle = download.received > before ? 0 : idle + 1;
      if (idle >= MOST_IDLE_TRIES || tries >= MOST_TRIES) throw cut(error, download.received, completed, tries);
      const waitMs = Math.min(1000 * 2 ** idle, 15_000);
      deps.log.info(
        `The download broke off at ${sizeText(download.received)}: ${messageOf(error)}. Going on in ${waitMs / 1000} s.`,
      );
      await deps.clock.sleep(waitMs, options.signal);
    }
  }
}

function cut(error: unknown, received: number, { bytes }: CompletedExport, tries: number): ActionError {
  return new ActionError(
    "export-cut",
    `The download of the snapshot broke off ${tries} times, the last time at ${sizeText(received)} of ${sizeText(bytes)}: ${messageOf(error)}.`,
    "A proxy that ends long answers does that: raise its time limits for /api/export, or go to the backend directly.",
    { cause: error },
  );
}

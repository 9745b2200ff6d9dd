import { open, stat } from "node:fs/promises";
import { ActionError, messageOf } from "../runner/errors.ts";
import { Meter, sizeText } from "../runner/meter.ts";
import type { Deps } from "../system/deps.ts";
import { BackendError } from "./backend-error.ts";
import type { DeploymentClient } from "./client.ts";
import { asRecord } from "./json.ts";

/** S3 takes no smaller parts but the last; the CLI's size too (contract 7.3). */
const PART_BYTES = 5 * 1024 * 1024;
const PART_MS = 120_000;
const MOST_UPLOADS = 4;

/** What `finish_upload` has to be told of an upload. */
export interface Uploaded {
  readonly uploadToken: string;
  readonly partTokens: readonly unknown[];
}

export interface UploadOptions {
  readonly signal?: AbortSignal;
  /** By the clock: no part is begun after it. */
  readonly deadline?: number;
  /** Leaves a byte order mark at the start out: the backend refuses one in a table's file; the CLI drops it too. */
  readonly dropMark?: boolean;
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

function tooSlow(meter: Meter): ActionError {
  return new ActionError(
    "import-timeout",
    `The upload did not end in time, it came to ${sizeText(meter.bytes)}; nothing was changed.`,
    "Allow more time, or run closer to the backend; a proxy in front of it may slow uploads down.",
  );
}

async function uploadOnce(
  client: DeploymentClient,
  deps: Deps,
  path: string,
  meter: Meter,
  { signal, dropMark, deadline = Number.POSITIVE_INFINITY }: UploadOptions,
): Promise<Uploaded> {
  const limits = signal === undefined ? {} : { signal };
  const started = asRecord(await client.json("POST", "/api/import/start_upload", limits));
  const uploadToken = String(started["uploadToken"]);
  const partTokens: unknown[] = [];
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafe(PART_BYTES);
    for (;;) {
      const length = await fill(buffer, (rest) => file.read(rest));
      if (length === 0) break;
      if (deps.clock.now() >= deadline) throw tooSlow(meter);
      let bytes = buffer.subarray(0, length);
      if (partTokens.length === 0 && dropMark === true && bytes.indexOf("\uFEFF") === 0) bytes = bytes.subarray(3);
      const query = { uploadToken, partNumber: String(partTokens.length + 1) };
      const options = { ...limits, query, bytes, timeoutMs: PART_MS };
      partTokens.push(await client.json("POST", "/api/import/upload_part", options));
      meter.add(length);
      if (length < PART_BYTES) break;
    }
    return { uploadToken, partTokens };
  } finally {
    await file.close();
  }
}

/**
 * Uploads a file for an import, streamed from one buffer. Parts go strictly one after the other, and none is sent a
 * second time: local storage appends whatever arrives (contract 7.3). Where it is not clear what arrived, everything
 * starts again with a new upload, bounded.
 * @throws ActionError `import-timeout`; BackendError; the signal's reason
 */
export async function uploadFile(
  client: DeploymentClient,
  deps: Deps,
  path: string,
  options: UploadOptions = {},
): Promise<Uploaded> {
  const { size } = await stat(path);
  const meter = new Meter("Uploaded", size, deps);
  for (let upload = 1; ; upload += 1) {
    try {
      return await uploadOnce(client, deps, path, meter, options);
    } catch (error) {
      const passing = error instanceof BackendError && (error.status === 0 || error.status >= 500);
      if (!passing || upload >= MOST_UPLOADS) throw error;
      const waitMs = 1000 * 2 ** (upload - 1);
      deps.log.info(
        `${messageOf(error)} Parts cannot be sent twice, so the upload starts again in ${waitMs / 1000} s (${upload + 1} of ${MOST_UPLOADS}).`,
      );
      meter.reset();
      await deps.clock.sleep(waitMs, options.signal);
    }
  }
}

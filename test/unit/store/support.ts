import type { StoreDeps } from "../../../src/store/open.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Log } from "../../../src/system/deps.ts";
import { systemHttp } from "../../../src/system/http.ts";

/** A log that keeps its lines. */
export function collectingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep =
    (level: string) =>
    (message: string): void => {
      lines.push(`${level}: ${message}`);
    };
  return {
    lines,
    debug: keep("debug"),
    info: keep("info"),
    notice: keep("notice"),
    warning: keep("warning"),
    group: async (_, work) => await work(),
    foreign: (foreign) => lines.push(...foreign),
    mask: (secret) => lines.push(`mask: ${secret.length}`),
  };
}

export function storeDeps(env: Readonly<Record<string, string | undefined>> = {}): StoreDeps & {
  readonly log: ReturnType<typeof collectingLog>;
} {
  return { log: collectingLog(), clock: systemClock, env, http: systemHttp };
}

/** Bytes that differ everywhere and are the same in every run. */
export function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

/**
 * A body that comes in chunks, all of which lie in one buffer, as those of a file do; it does what `at` says once that
 * many bytes went out.
 */
export async function* streamOf(
  bytes: Buffer,
  chunk: number,
  at?: { readonly bytes: number; readonly run: () => Promise<void> | void },
): AsyncGenerator<Uint8Array> {
  let ran = false;
  const buffer = Buffer.alloc(Math.min(chunk, bytes.length));
  for (let position = 0; position < bytes.length; position += chunk) {
    if (at !== undefined && !ran && position >= at.bytes) {
      ran = true;
      await at.run();
    }
    yield buffer.subarray(0, bytes.copy(buffer, 0, position));
    buffer.fill(0xff);
  }
}

export async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

import { open } from "node:fs/promises";

/** Enough for hundreds of lines; a log can be gigabytes. */
const MOST_BYTES = 512 * 1024;

/** The last `count` lines of a log, oldest first; none when there is no such file. Unredacted. */
export async function tailOf(file: string, count: number): Promise<string[]> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, "r");
  } catch {
    return [];
  }
  try {
    const { size } = await handle.stat();
    const from = Math.max(0, size - MOST_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    const lines = buffer.toString("utf8", 0, bytesRead).split(/\r?\n/);
    // The first line is cut where the reading began in its middle; the last is empty after a line's end.
    if (from > 0) lines.shift();
    if (lines.at(-1) === "") lines.pop();
    return count === 0 ? [] : lines.slice(-count);
  } finally {
    await handle.close();
  }
}

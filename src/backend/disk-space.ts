import { statfs } from "node:fs/promises";

/** Less than this is a full disk: SQLite, the log and the storage all write more at a time. */
const FULL_BYTES = 64 * 1024;

/**
 * A line for the log of a backend that has ended, where one of its directories has no space left: on a full disk its
 * own last words may not have reached its log. Undefined where there is space, or where that cannot be told.
 */
export async function fullDisk(directories: readonly string[]): Promise<string | undefined> {
  for (const directory of directories) {
    const space = await statfs(directory).catch(() => undefined);
    // Some file systems (of FUSE, for one) tell no sizes at all.
    if (space === undefined || space.blocks === 0) continue;
    const bytes = space.bavail * space.bsize;
    if (bytes < FULL_BYTES) return `No space left on device: ${directory} has ${bytes} bytes free (seen by the action)`;
  }
  return undefined;
}

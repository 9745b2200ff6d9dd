import type { Stats } from "node:fs";
import { constants } from "node:fs";
import { lstat, open, readdir, rmdir, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf, systemCode } from "../runner/errors.ts";
import { full, missing, refused, unreachable } from "./faults.ts";
import { chunksOf } from "./source.ts";

export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (failure) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(failure) ?? "")) return undefined;
    throw failure;
  }
}

/** Writes a new file, 0600, and returns its bytes once they are on the disk. */
export async function writeNew(
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const file = await open(path, "wx", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of chunksOf(body, signal)) {
      let written = 0;
      while (written < chunk.length) written += (await file.write(chunk, written)).bytesWritten;
      bytes += chunk.length;
    }
    signal?.throwIfAborted();
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}

/** Flushes the names too: a file whose folder is not on the disk is lost with the power. */
export async function syncFolders(folder: string, root: string): Promise<void> {
  for (let path = folder; ; path = dirname(path)) {
    try {
      const handle = await open(path, constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (failure) {
      // Windows and some network mounts cannot flush folders; they order names by themselves.
      if (!["EISDIR", "EPERM", "EINVAL", "EBADF", "ENOTSUP", "EACCES"].includes(systemCode(failure) ?? ""))
        throw failure;
    }
    if (path === root) return;
  }
}

export async function removed(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch {
    return false; // It holds something still, or another job removed it.
  }
}

export async function* filesBelow(folder: string): AsyncGenerator<{ path: string; stats: Stats }> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) yield* filesBelow(path);
    if (!entry.isFile()) continue;
    const stats = await statOf(path);
    if (stats !== undefined) yield { path, stats };
  }
}

export async function freeSpace(path: string): Promise<string> {
  const space = await statfs(path).catch(() => undefined);
  if (space === undefined || space.blocks === 0) return "the disk or the quota is full";
  const mib = Math.floor((space.bavail * space.bsize) / (1024 * 1024));
  return `${mib} MiB are free now`;
}

/** The error for a failed call of the file system below `root`. */
export async function explainFile(failure: unknown, root: string): Promise<unknown> {
  const location = `dir:${root}`;
  const cause = { cause: failure };
  switch (systemCode(failure)) {
    case "ENOSPC":
    case "EDQUOT":
      return full(location, await freeSpace(root), cause);
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return refused(
        `${location} cannot be used by this user: ${messageOf(failure)}.`,
        "Give the runner's user the right to read and write there; containers often run as another user.",
        cause,
      );
    case "ELOOP":
      return refused(
        `${location} has a link where an object should be: ${messageOf(failure)}.`,
        "Look at who put it there; links below a destination are not followed.",
        cause,
      );
    case "ENOENT":
    case "ENOTDIR":
      return missing(
        location,
        `such folder (${messageOf(failure)})`,
        "Check the path and that the disk is mounted. A destination's last folder is made by the first backup, its parents are not.",
        cause,
      );
    case "EIO":
    case "ESTALE":
    case "ETIMEDOUT":
    case "ENOTCONN":
    case "ENODEV":
    case "EHOSTDOWN":
      return unreachable(location, `its disk fails: ${messageOf(failure)}`, cause);
    default:
      return failure;
  }
}

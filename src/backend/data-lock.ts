import { readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import type { ProcessTable } from "./process-table.ts";

/** Two backends on one SQLite file both write to it, and neither says a word (contract 1.4): so a kept directory has one owner, and the mark of one that is gone counts for nothing. */
const FILE = ".convex-action-owner";

export interface Holder {
  readonly owner: string;
  readonly pid: number;
  readonly startTime: string;
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const holder: unknown = JSON.parse(await readFile(file, "utf8"));
    if (typeof holder !== "object" || holder === null) return undefined;
    if (!("owner" in holder) || !("pid" in holder) || !("startTime" in holder)) return undefined;
    const { owner, pid, startTime } = holder;
    if (typeof owner !== "string" || typeof pid !== "number" || typeof startTime !== "string") return undefined;
    return { owner, pid, startTime };
  } catch {
    return undefined;
  }
}

/**
 * Takes a data directory for a backend; a holder that does not live any more gives way.
 * @throws ActionError `data-in-use`
 */
export async function takeData(directory: string, holder: Holder, table: ProcessTable): Promise<void> {
  const file = join(directory, FILE);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(file, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
    const other = await readHolder(file);
    if (other !== undefined && (await table.startTime(other.pid)) === other.startTime) throw inUse(directory, other);
    await unlink(file);
  }
  throw inUse(directory);
}

function inUse(directory: string, holder?: Holder): ActionError {
  const by = holder === undefined ? "another job" : `a backend that runs (pid ${holder.pid})`;
  return new ActionError(
    "data-in-use",
    `data: ${directory} is used by ${by}; two backends on one database file damage each other's view of it unnoticed.`,
    "Wait for the other one to end, or give each its own directory.",
  );
}

/** The directory of `data` cannot be made. */
export function dataUnusable(directory: string, error: unknown): ActionError {
  return new ActionError(
    "data-directory",
    `data: ${directory} cannot be made: ${messageOf(error)}.`,
    "Name a directory that this job may write, or with Docker a volume (a name without a slash).",
    { cause: error },
  );
}

/** Notes who holds it now, once the backend's process exists. */
export async function passData(directory: string, holder: Holder): Promise<void> {
  await writeFile(join(directory, FILE), JSON.stringify(holder), { mode: 0o600 });
}

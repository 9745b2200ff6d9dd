import type { RunningBackend } from "../backend/backend.ts";
import { ActionError } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";

/** What a start did to the data's version. */
export interface Migration {
  /** `116, 117, 118`: steps that were carried out; none on data of the same version. */
  readonly steps: readonly number[];
  /** The version that the data have now, where the log tells it. */
  readonly version: number | undefined;
  readonly ms: number;
}

/** Lines that are read of the log: a migration of all versions that ever were is far below. */
const LINES = 5000;
const LONGEST_PAUSE_MS = 500;

const numbers = (lines: readonly string[], pattern: RegExp): number[] =>
  lines.flatMap((line) => {
    const found = pattern.exec(line)?.[1];
    return found === undefined ? [] : [Number(found)];
  });

/**
 * Reads the log of one start (contract 9). Undefined as long as it does not tell that the migration is complete.
 * @throws ActionError upgrade-downgrade, upgrade-migration-failed
 */
export function readMigration(lines: readonly string[]): Omit<Migration, "ms"> | undefined {
  const ahead = lines.map((line) => /version is ahead at (\d+), this binary is at (\d+)/.exec(line)).find(Boolean);
  if (ahead !== undefined && ahead !== null) {
    throw new ActionError(
      "upgrade-downgrade",
      `The data have version ${ahead[1]}, and the next release knows ${ahead[2]} at most: it is the older of the two. Backends do not migrate back.`,
      "Exchange from and to, or restore a backup into the older release.",
    );
  }
  if (lines.some((line) => line.includes("Migration worker failed"))) {
    const [last] = numbers(lines, /Migrating to (\d+)/).slice(-1);
    throw new ActionError(
      "upgrade-migration-failed",
      `The migration failed at the step to version ${last ?? "unknown"}; the backend would try again for ever, and serve half-migrated data meanwhile.`,
      "Do not upgrade in place. The lines of the backend's log are above; report them to the project, and look whether the road by import is safe.",
    );
  }
  if (!lines.some((line) => line.includes("Migration complete"))) return undefined;
  const [version] = numbers(lines, /metadata version up to date at (\d+)/).slice(-1);
  return { steps: numbers(lines, /(?<!')\bMigrated (\d+)/), version };
}

/**
 * Waits for the line that ends a migration: the ports may be open before it, and after it (contract 9).
 * @throws ActionError upgrade-downgrade, upgrade-migration-failed, upgrade-migration-timeout
 */
export async function waitForMigration(backend: RunningBackend, timeoutMs: number, deps: Deps): Promise<Migration> {
  const { clock, log } = deps;
  const start = clock.now();
  let told = start;
  for (let waitMs = 20; ; waitMs = Math.min(waitMs * 2, LONGEST_PAUSE_MS)) {
    const lines = await backend.logs(LINES);
    const done = readMigration(lines);
    const ms = clock.now() - start;
    if (done !== undefined) return { ...done, ms };
    const [last] = numbers(lines, /Migrating to (\d+)/).slice(-1);
    if (ms >= timeoutMs) {
      throw new ActionError(
        "upgrade-migration-timeout",
        `The line "Migration complete" did not come within ${seconds(timeoutMs)}; ${last === undefined ? "no step had begun" : `it was at the step to version ${last}`}.`,
        "Raise migration-timeout if the database is large: production would wait as long.",
      );
    }
    if (clock.now() - told >= 5000) {
      told = clock.now();
      log.info(`Migrating${last === undefined ? "" : ` to version ${last}`} (${seconds(ms)}).`);
    }
    await clock.sleep(waitMs);
  }
}

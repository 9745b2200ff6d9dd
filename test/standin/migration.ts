/**
 * The migration worker of a start (contract 9): it runs in the background, steps from the version in the database to
 * that of the release, and notes how far it got.
 */
import type { Backend } from "./backend.ts";
import { attempt, openDatabase } from "./database.ts";
import type { Knobs } from "./knobs.ts";
import type { Log } from "./log.ts";

export interface MigrationPlan {
  readonly from: number;
  readonly to: number;
  readonly dbFile: string;
}

/**
 * Versions up to 115 cannot be migrated by newer releases: the lines stop, and the caller aborts. A version ahead of
 * this release is left alone, and so is its number.
 */
export async function migrate(
  plan: MigrationPlan,
  knobs: Knobs,
  backend: Backend,
  log: Log,
): Promise<"done" | "too old" | "failed"> {
  const { from, to } = plan;
  const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, knobs.migrateDelayMs));
  if (knobs.migrateDelayMs > 0) await wait();
  log.write("INFO", "model::migrations", "Attempting migration");
  const ahead = from > to || from === 0;
  if (ahead) {
    log.write(
      "WARN",
      "model::migrations",
      `persisted db metadata version is ahead at ${from}, this binary is at ${to}`,
    );
  }
  for (let step = from + 1; !ahead && step <= to; step++) {
    log.write("INFO", "model::migrations", `Migrating to ${step}`);
    if (step <= 116 && to > 120) return "too old";
    if (knobs.migrateFail) {
      log.write(
        "ERROR",
        "model::migrations",
        "Migration worker failed, sleeping 60s: a document is not what it should be",
      );
      return "failed";
    }
    log.write("WARN", "migrations_model", `Executing Migration ${step}/${to}. Wait for log line 'Migrated ${step}'`);
    if (knobs.migrateDelayMs > 0) await wait();
    log.write("INFO", "model::migrations", `Migrated ${step}`);
  }
  if (!ahead && from < to) {
    noteVersion(plan);
    if (knobs.migrateLoses) await loseOne(backend);
  }
  if (!ahead) log.write("INFO", "model::migrations", `db metadata version up to date at ${to}`);
  log.write("INFO", "model::migrations", "Migration complete");
  return "done";
}

function noteVersion({ dbFile, to }: MigrationPlan): void {
  const database = openDatabase(dbFile);
  try {
    attempt(dbFile, () => database.write({ ...database.read(), version: to }));
  } finally {
    database.close();
  }
}

/** What nobody hopes for, and a rehearsal is there to find. */
async function loseOne(backend: Backend): Promise<void> {
  await backend.store.write((tx) => {
    const [table] = tx.userTables("").sort((a, b) => tx.count("", b.name) - tx.count("", a.name));
    const [oldest] = table === undefined ? [] : tx.scan("", table.name);
    if (oldest !== undefined) tx.delete("", oldest._id);
  });
}

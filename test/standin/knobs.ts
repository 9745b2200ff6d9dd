/**
 * The stand-in's own variables, all `STANDIN_*`: what a test sets to make a start, a stop or an import go wrong.
 *
 * | variable | effect |
 * | --- | --- |
 * | STANDIN_LIKE | first, m14 (default) or head: the column of contract 11; `--like` wins |
 * | STANDIN_START_DELAY_MS | waits before the ports are bound |
 * | STANDIN_NEVER_READY=1 | starts, logs, and never binds its ports |
 * | STANDIN_HANG=1 | the ports accept connections and never answer |
 * | STANDIN_PRINT | text logged at INFO while starting (a secret, to test redaction) |
 * | STANDIN_EXIT_CODE | ends with this code instead of binding the ports; 134 ends by SIGABRT |
 * | STANDIN_EXIT_AFTER_MS | ends that long after the ports were bound (code STANDIN_EXIT_CODE, else 1) |
 * | STANDIN_MIGRATE_FROM | logs the migration steps from this metadata version (contract 9) |
 * | STANDIN_MIGRATE_DELAY_MS | wait before each step of a migration, and before the worker begins |
 * | STANDIN_MIGRATE_FAIL=1 | the migration worker fails at its first step and sleeps |
 * | STANDIN_MIGRATE_LOSES=1 | a migration that takes place loses the oldest document of the largest table |
 * | STANDIN_ABORT_AT_SIGINT=1 | SIGABRT after `Done`, which real ones do now and then (contract 1.6) |
 * | STANDIN_MAX_PAGES | size limit of the SQLite file in pages: the next write beyond it meets a full disk |
 * | STANDIN_RETRY_MS | wait between the tries of an import that meets a system failure (else up to 60 s) |
 * | STANDIN_IMPORT_ROW_DELAY_MS | slows an import down: wait after every 1,000 rows |
 * | STANDIN_EXPORT_DELAY_MS | slows an export down: wait before every table |
 * | STANDIN_DOWNLOAD_CUTS | so many downloads of exports end early, each a third farther than the one before |
 * | STANDIN_CANCEL_CONFLICTS | so many cancellations of exports are answered 503, as when they race with the worker |
 * | STANDIN_POSTGRES_DIR | folder of the data of "Postgres" instances (else below the system's temporary folder) |
 */
export interface Knobs {
  startDelayMs: number;
  neverReady: boolean;
  hang: boolean;
  print: string | undefined;
  exitCode: number | undefined;
  exitAfterMs: number | undefined;
  migrateFrom: number | undefined;
  migrateDelayMs: number;
  migrateFail: boolean;
  migrateLoses: boolean;
  abortAtSigint: boolean;
  maxPages: number | undefined;
  retryMs: number | undefined;
  importRowDelayMs: number;
  exportDelayMs: number;
  downloadCuts: number;
  cancelConflicts: number;
}

export function readKnobs(env: NodeJS.ProcessEnv): Knobs {
  const number = (name: string) => {
    const text = env[`STANDIN_${name}`];
    return text === undefined || text === "" ? undefined : Number(text);
  };
  return {
    startDelayMs: number("START_DELAY_MS") ?? 0,
    neverReady: env["STANDIN_NEVER_READY"] === "1",
    hang: env["STANDIN_HANG"] === "1",
    print: env["STANDIN_PRINT"],
    exitCode: number("EXIT_CODE"),
    exitAfterMs: number("EXIT_AFTER_MS"),
    migrateFrom: number("MIGRATE_FROM"),
    migrateDelayMs: number("MIGRATE_DELAY_MS") ?? 0,
    migrateFail: env["STANDIN_MIGRATE_FAIL"] === "1",
    migrateLoses: env["STANDIN_MIGRATE_LOSES"] === "1",
    abortAtSigint: env["STANDIN_ABORT_AT_SIGINT"] === "1",
    maxPages: number("MAX_PAGES"),
    retryMs: number("RETRY_MS"),
    importRowDelayMs: number("IMPORT_ROW_DELAY_MS") ?? 0,
    exportDelayMs: number("EXPORT_DELAY_MS") ?? 0,
    downloadCuts: number("DOWNLOAD_CUTS") ?? 0,
    cancelConflicts: number("CANCEL_CONFLICTS") ?? 0,
  };
}

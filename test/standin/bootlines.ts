/** The lines of a start in their real order (contract 1.5, boot-ready.json); tests and tools match on parts of them. */
import type { Like } from "./flags.ts";
import type { Level, Log } from "./log.ts";

type Line = [Level, string, string];

const SYSTEM_TABLES =
  "_db _deployment_audit_log _environment_variables _auth _external_deps_packages _session_requests _backend_state _exports " +
  "_snapshot_imports _function_handles _canonical_urls _log_sinks _aws_lambda_versions _backend_info _file_storage " +
  "_scheduled_jobs _scheduled_job_args _cron_jobs _cron_job_logs _cron_next_run _modules _udf_config _source_packages";

/** Metadata version by release (contract 9). */
export const METADATA_VERSION: Record<Like, number> = { first: 115, m14: 124, head: 128 };

export const BEACON_NOTICE =
  "The self-host Convex backend will periodically communicate with a remote beacon server. This is to help Convex understand and improve the product. You can disable this telemetry by setting the --disable-beacon flag or the DISABLE_BEACON environment variable.";

function writeAll(log: Log, lines: readonly Line[]): void {
  for (const line of lines) log.write(...line);
}

/** After the database was opened, before its storage is looked at. */
export function logBootstrap(log: Log, fresh: boolean): void {
  if (fresh) log.write("INFO", "database::database", "Initializing database with system tables...");
  log.write("INFO", "database::database", "Bootstrapping indexes...");
}

export function logTables(log: Log, fresh: boolean): void {
  writeAll(log, [
    ["INFO", "indexing::backend_in_memory_indexes", "Loading 8 tables with 21 indexes..."],
    ["INFO", "database::database", "Bootstrapping table metadata..."],
    ["INFO", "database::retention", "No tablets left to delete"],
    ["INFO", "database::subscription", "Starting subscriptions worker"],
  ]);
  for (const table of fresh ? SYSTEM_TABLES.split(" ") : []) {
    log.write("INFO", "database::transaction", `Created system table: ${table}`);
  }
  writeAll(log, [
    ["INFO", "indexing::backend_in_memory_indexes", "Loading 12 tables with 31 indexes..."],
    ["INFO", "database::committer", "Loaded indexes into memory"],
  ]);
}

/** `absolute` is where the directory is, `given` what the flag said. */
export function logLocalStorage(log: Log, absolute: string, given: string): void {
  for (const use of ["files", "modules", "search", "exports", "snapshot_imports"]) {
    log.write("INFO", "application", `${use} storage path: ${JSON.stringify(`${absolute}/${use}`)}`);
  }
  log.write(
    "INFO",
    "database::database",
    `Set search storage to LocalDirStorage { dir: ${JSON.stringify(`${absolute}/search`)} }`,
  );
  log.write("INFO", "application", `Local { dir: ${JSON.stringify(given)} } storage is configured.`);
}

export function logNoProxy(log: Log): void {
  log.write(
    "WARN",
    "local_backend",
    "Running without a proxy in release mode -- UDF `fetch` requests are unrestricted!",
  );
}

export function logWorkers(log: Log, fresh: boolean): void {
  const worker = (name: string): Line => [
    "INFO",
    "database::search_index_workers::retriable_worker",
    `Starting ${name}`,
  ];
  writeAll(log, [
    ["INFO", "database::database_index_workers", "Starting IndexWorker"],
    ...["FastForwardWorker", "VectorBackfillFlusher", "VectorLiveFlusher", "VectorCompactor"].map(worker),
    ...["TextLiveFlusher", "TextBackfillFlusher", "TextCompactor"].map(worker),
    ["INFO", "application::table_summary_worker", "Starting background table summary worker"],
    ["INFO", "application::schema_worker", "Starting SchemaWorker"],
    ["INFO", "application::system_table_cleanup", "Starting SystemTableCleanupWorker"],
    ["INFO", "log_streaming", "Starting LogManager"],
    ["INFO", "application::scheduled_jobs", "Starting scheduled job executor"],
  ]);
  if (!fresh) writeAll(log, ["TextLiveFlusher", "TextBackfillFlusher"].map(diedAsExpected));
  writeAll(log, [
    ["INFO", "usage_gauges_tracking_worker", "Starting UsageGaugesTrackingWorker"],
    ["INFO", "application::cron_jobs", "Starting cron job executor"],
    ["INFO", "application::exports::worker", "No exports requested or in progress."],
  ]);
}

/** ERROR lines that mean nothing: second and later starts of a real one show them. */
function diedAsExpected(name: string): Line {
  const cause = `${name} died: Search indexes bootstrapping and not yet available for use`;
  const text = `${name} died, num_failures: 1. Backing off for 164ms (max: 30000ms), expected: true: ${cause}`;
  return ["ERROR", "database::search_index_workers::retriable_worker", text];
}

/** The chain of a failed start, as the only place where causes show (contract 1.6). */
export function logCaught(log: Log, chain: readonly string[], kind = "error"): void {
  const how = "(RUST_BACKTRACE=1 RUST_LOG=info,common::errors=debug for full trace)";
  log.write("ERROR", "common::errors", `Caught ${kind} error ${how}: ${chain.join(": ")}`);
}

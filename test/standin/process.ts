/**
 * The process `convex-local-backend`: start, signals, end (contract 1.5, 1.6). SIGTERM is left alone on purpose: it
 * kills a plain process and is ignored by the kernel for PID 1, exactly like the real one.
 */
import { type Booted, boot } from "./boot.ts";
import { logCaught, logMigration, logWorkers, METADATA_VERSION } from "./bootlines.ts";
import { StartError } from "./database.ts";
import type { Flags } from "./flags.ts";
import { type Knobs, readKnobs } from "./knobs.ts";
import { type Log, makeLog } from "./log.ts";
import { BindError, type Served, serve } from "./serve.ts";

/** Runs until it is stopped; ends the process itself. */
export async function run(flags: Flags, env: NodeJS.ProcessEnv): Promise<void> {
  // a reader that went away must not end the backend
  process.stdout.on("error", () => undefined);
  const log = makeLog(env, (text) => process.stdout.write(text));
  const knobs = readKnobs(env);
  try {
    const booted = await boot(flags, env, log);
    const served = await open(flags, env, booted, knobs, log);
    await bind(flags, booted, knobs, served, log);
    stopWhenAsked(served, booted, knobs, log);
  } catch (error) {
    failStart(error, log);
  }
}

async function open(flags: Flags, env: NodeJS.ProcessEnv, booted: Booted, knobs: Knobs, log: Log): Promise<Served> {
  const served = await serve(flags, env, booted, knobs, log);
  logWorkers(log, booted.fresh);
  if (knobs.print !== undefined) log.write("INFO", "standin", knobs.print);
  if (knobs.startDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, knobs.startDelayMs));
  if (knobs.exitCode !== undefined && knobs.exitAfterMs === undefined) end(knobs.exitCode);
  return served;
}

async function bind(flags: Flags, booted: Booted, knobs: Knobs, served: Served, log: Log): Promise<void> {
  if (knobs.neverReady) return void setInterval(() => undefined, 1 << 30);
  await served.listen();
  log.write("INFO", "application::table_summary_worker", "Table summary bootstrap finished");
  const from = knobs.migrateFrom ?? booted.version;
  if (logMigration(log, from, METADATA_VERSION[flags.like]) === "too old") {
    panic("tokio-runtime-worker", "crates/migrations_model/src/lib.rs:44:24", "Transition too old!");
  }
  served.migrated();
  if (knobs.exitAfterMs !== undefined) setTimeout(() => end(knobs.exitCode ?? 1), knobs.exitAfterMs);
}

/** One line on stderr, the whole chain in the log, exit code 1. */
function failStart(error: unknown, log: Log): never {
  if (error instanceof BindError) logCaught(log, [error.message, error.reason]);
  else if (error instanceof StartError) logCaught(log, error.chain);
  else logCaught(log, [String(error instanceof Error ? (error.stack ?? error) : error)]);
  process.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
  return end(1);
}

function stopWhenAsked(served: Served, booted: Booted, knobs: Knobs, log: Log): void {
  const say = (message: string) => log.write("INFO", "convex_local_backend", message);
  let stopping = false;
  process.on("SIGINT", () => {
    if (stopping) {
      log.write("WARN", "convex_local_backend", "Forcibly shutting down!");
      say("Done");
      end(0);
    }
    stopping = true;
    say("Received Ctrl-C signal!");
    void shutDown(served, booted, knobs, log);
  });

  const fatal = (reason: string, logged: () => void) => {
    if (stopping) return;
    stopping = true;
    logged();
    say("Received a fatal error. Shutting down immediately");
    say("Shutdown initiated, draining existing requests...");
    log.write("INFO", "local_backend::proxy", "Shut down proxy");
    say("Shutting down application...");
    say(`Cool down expired. Shutting down`);
    say("Done");
    log.write("DEBUG", "standin", reason);
    // the answer to the write that failed still goes out
    setImmediate(() => setTimeout(() => end(0), 20));
  };
  served.onFatal((cause) => fatal(cause, () => logWriteFailed(log, cause)));
  booted.lease?.watch(() => {
    const chain = ["Your request couldn't be completed. Try again later.", "Lease Lost"];
    fatal("Lease Lost", () => logCaught(log, chain, "operational"));
  });
}

function logWriteFailed(log: Log, cause: string): void {
  const commit = "Write failed. Unsure if transaction committed to disk.: Commit failed to write to persistence";
  const full = "database or disk is full";
  logCaught(
    log,
    cause.includes(full) ? [commit, full, "Error code 13: Insertion failed because database is full"] : [commit, cause],
  );
  log.write("ERROR", "database::committer", "Shutting down committer");
}

async function shutDown(served: Served, booted: Booted, knobs: Knobs, log: Log): Promise<void> {
  const say = (message: string) => log.write("INFO", "convex_local_backend", message);
  say("Shutdown initiated, draining existing requests...");
  log.write("INFO", "local_backend::proxy", "Shut down proxy");
  await served.drain();
  say("Shutting down application...");
  log.write("INFO", "application::table_summary_worker", "Shutting down table summary worker...");
  await served.close();
  booted.lease?.release();
  log.write("INFO", "database::database", "Database shutdown");
  log.write("INFO", "application", "Application shut down");
  say("Server successfully shut down.");
  say("Done");
  if (knobs.abortAtSigint) {
    panic(
      "tokio-runtime-worker",
      "tokio/src/runtime/time/entry.rs:602:9",
      "A Tokio 1.x context was found, but it is being shutdown.",
    );
  }
  end(0);
}

function panic(thread: string, place: string, message: string): never {
  const advice = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
  process.stderr.write(`\nthread '${thread}' (${process.pid}) panicked at ${place}:\n${message}\n${advice}\n`);
  return end(134);
}

function end(code: number): never {
  if (code === 134) process.abort();
  process.exit(code);
}

/**
 * The process `convex-local-backend`: start, signals, end (contract 1.5, 1.6). SIGTERM is left alone on purpose: it
 * kills a plain process and is ignored by the kernel for PID 1, exactly like the real one.
 */

import type { Backend } from "./backend.ts";
import { type Booted, boot } from "./boot.ts";
import { logCaught, logWorkers, METADATA_VERSION } from "./bootlines.ts";
import { StartError } from "./database.ts";
import type { Flags } from "./flags.ts";
import { type Knobs, readKnobs } from "./knobs.ts";
import { type Log, makeLog } from "./log.ts";
import { migrate } from "./migration.ts";
import { bindTexts, openServed } from "./serve.ts";
import { BindError } from "./server.ts";

/** Runs until it is stopped; ends the process itself. */
export async function run(flags: Flags, env: NodeJS.ProcessEnv): Promise<void> {
  // a reader that went away must not end the backend
  process.stdout.on("error", () => undefined);
  const log = makeLog(env, (text) => process.stdout.write(text));
  const knobs = readKnobs(env);
  try {
    const booted = await boot(flags, env, log);
    const backend = await open(flags, env, booted, knobs, log);
    // before the ports answer: whoever sees the first 200 may send SIGINT at once
    stopWhenAsked(backend, booted, knobs, log);
    await bind(flags, booted, knobs, backend, log);
  } catch (error) {
    failStart(error, log);
  }
}

async function open(flags: Flags, env: NodeJS.ProcessEnv, booted: Booted, knobs: Knobs, log: Log): Promise<Backend> {
  const backend = await openServed(flags, env, booted, log);
  logWorkers(log, booted.fresh);
  if (knobs.print !== undefined) log.write("INFO", "standin", knobs.print);
  if (knobs.startDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, knobs.startDelayMs));
  if (knobs.exitCode !== undefined && knobs.exitAfterMs === undefined) end(knobs.exitCode);
  return backend;
}

async function bind(flags: Flags, booted: Booted, knobs: Knobs, backend: Backend, log: Log): Promise<void> {
  if (knobs.neverReady) return void setInterval(() => undefined, 1 << 30);
  await listen(flags, knobs, backend, log);
  log.write("INFO", "application::table_summary_worker", "Table summary bootstrap finished");
  void migrateInBackground(flags, booted, knobs, backend, log);
  if (knobs.exitAfterMs !== undefined) setTimeout(() => end(knobs.exitCode ?? 1), knobs.exitAfterMs);
}

async function migrateInBackground(
  flags: Flags,
  booted: Booted,
  knobs: Knobs,
  backend: Backend,
  log: Log,
): Promise<void> {
  const plan = {
    from: knobs.migrateFrom ?? booted.version,
    to: METADATA_VERSION[flags.like],
    dbFile: booted.dbFile,
  };
  if ((await migrate(plan, knobs, backend, log)) === "too old") {
    panic("tokio-runtime-worker", "crates/migrations_model/src/lib.rs:44:24", "Transition too old!");
  }
}

/** "listening" is logged before the port is bound, so it shows also when the port is taken. */
async function listen(flags: Flags, knobs: Knobs, backend: Backend, log: Log): Promise<void> {
  const at = (port: number) => `${flags.interface}:${port}`;
  log.write("INFO", "common::http", `backend listening on ${at(flags.port)}`);
  log.write("INFO", "local_backend::proxy", `Starting dev site proxy at ${at(flags.sitePort)}...`);
  log.write("INFO", "common::http", `backend_http_proxy listening on ${at(flags.sitePort)}`);
  if (knobs.hang) return hang(flags);
  await backend.listen();
}

/** Ports that accept and never answer. */
async function hang(flags: Flags): Promise<void> {
  const { createServer } = await import("node:net");
  for (const port of [flags.port, flags.sitePort]) {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(port, flags.interface, resolve));
  }
}

/** One line on stderr, the whole chain in the log, exit code 1. */
function failStart(error: unknown, log: Log): never {
  const chain = chainOf(error);
  logCaught(log, chain);
  process.stderr.write(`Error: ${chain[0]}\n`);
  return end(1);
}

function chainOf(error: unknown): readonly string[] {
  if (error instanceof BindError) return bindTexts(error);
  if (error instanceof StartError) return error.chain;
  return error instanceof Error ? [error.message, error.stack ?? ""] : [String(error)];
}

function stopWhenAsked(backend: Backend, booted: Booted, knobs: Knobs, log: Log): void {
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
    void shutDown(backend, booted, knobs, log);
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
  backend.onFatal((cause) => fatal(cause, () => logWriteFailed(log, cause)));
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

async function shutDown(backend: Backend, booted: Booted, knobs: Knobs, log: Log): Promise<void> {
  const say = (message: string) => log.write("INFO", "convex_local_backend", message);
  say("Shutdown initiated, draining existing requests...");
  log.write("INFO", "local_backend::proxy", "Shut down proxy");
  await backend.drain();
  say("Shutting down application...");
  log.write("INFO", "application::table_summary_worker", "Shutting down table summary worker...");
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

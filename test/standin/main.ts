#!/usr/bin/env node
/**
 * The stand-in of `convex-local-backend` (contract 1): `node test/standin/main.ts <flags>`, or the bundle of it.
 * A test double for this project's tests; it is not a Convex backend and keeps nobody's data safe.
 */
import { isMainThread, workerData } from "node:worker_threads";
import { CommandLineError } from "./clap.ts";
import { HELP, parseCommand } from "./flags.ts";

async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const command = parseCommand(argv, env);
  if (command.kind === "help") return void process.stdout.write(HELP);
  if (command.kind === "version") return void process.stdout.write("local_backend unknown\n");
  if (command.kind === "keygen") {
    const { printKey } = await import("./generate-key.ts");
    return printKey([command.instanceName, command.instanceSecret]);
  }
  const { run } = await import("./process.ts");
  await run(command.flags, env);
}

/** Worker threads and child processes of a bundle start here too (entry.ts). */
const role: unknown = isMainThread ? process.env["STANDIN_ROLE"] : workerData?.standinRole;

try {
  if (typeof role === "string") await (await import("./roles.ts")).play(role);
  else await main(process.argv.slice(2), process.env);
} catch (error) {
  if (!(error instanceof CommandLineError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}

/** The project's `convex` CLI as a process, with the environment that contract 5.1 asks for. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Backend } from "./backend.ts";

const packageFile = fileURLToPath(new URL("../../../node_modules/convex/package.json", import.meta.url));
const bin = (JSON.parse(readFileSync(packageFile, "utf8")) as { bin: { convex: string } }).bin.convex;
/** Started with the Node of this process: `.bin/convex` is a shell script on some systems and none on others. */
const script = join(dirname(packageFile), bin);

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd: string;
  readonly key?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function environment(backend: Backend, options: CliOptions): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    CI: "1",
    NO_COLOR: "1",
    NODE_COMPILE_CACHE: join(tmpdir(), "convex-contract-compile-cache"),
    CONVEX_DEPLOYMENT: "",
    CONVEX_DEPLOY_KEY: "",
    CONVEX_DEPLOYMENT_TOKEN: "",
    CONVEX_SELF_HOSTED_URL: backend.url,
    CONVEX_SELF_HOSTED_ADMIN_KEY: options.key ?? backend.key,
  };
  for (const name of ["PATH", "HOME", "SystemRoot", "USERPROFILE", "TEMP", "TMP", "APPDATA"]) {
    if (process.env[name] !== undefined) env[name] = process.env[name];
  }
  return { ...env, ...options.env };
}

export function startConvex(backend: Backend, args: readonly string[], options: CliOptions): ChildProcess {
  return spawn(process.execPath, [script, ...args], { cwd: options.cwd, env: environment(backend, options) });
}

/** Runs to the end. Without `stdin` the CLI sees an empty one, as in CI. */
export async function convex(backend: Backend, args: readonly string[], options: CliOptions): Promise<CliResult> {
  const child = startConvex(backend, args, options);
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.stdin ?? "");
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, ...output };
}

/** The lines that are no progress. */
export function marked(stderr: string): string[] {
  return stderr.split("\n").filter((line) => /^[✔✖✘⛔]/.test(line));
}

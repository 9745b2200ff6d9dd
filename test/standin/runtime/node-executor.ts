/** Runs `"use node"` modules in a child `node` process found on the backend's PATH (contract 1.6, 5.2). */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { promisify } from "node:util";
import type { Package } from "../deploy/code.ts";
import { ApiError, internalError, type LogLine } from "../types.ts";
import { nodeChildScript } from "./node-child.ts";
import type { Analysis, JobResult, ModuleExports } from "./protocol.ts";

const ACCEPTED_MAJORS = [18, 20, 22, 24];

export interface NodeExecutorOptions {
  /** Where the script and the modules are written. */
  readonly tmpDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The configured origin, which actions call back. */
  readonly origin: () => string;
  /** For the log line that names why there is no child. */
  readonly onError?: (message: string) => void;
}

export interface ExternalPackage {
  readonly name: string;
  readonly version: string;
}

export interface NodeCode {
  readonly code: Package;
  /** Folder of its external packages, from `install`. */
  readonly folder?: string | undefined;
}

export interface NodeCall extends NodeCode {
  readonly module: string;
  readonly name: string;
  /** JSON text of the argument list. */
  readonly args: string;
  readonly env: Readonly<Record<string, string>>;
  readonly token: string;
  readonly identity: { readonly user: unknown } | { readonly error: string };
  readonly onLog: (line: LogLine) => void;
}

interface Waiting {
  readonly resolve: (result: JobResult) => void;
  readonly reject: (error: Error) => void;
  readonly onLog?: (line: LogLine) => void;
}

type FromChild =
  | { readonly hello: string }
  | {
      readonly id: number;
      readonly log: { readonly level: LogLine["level"]; readonly messages: string[]; readonly at: number };
    }
  | { readonly id: number; readonly result: JobResult };

const isExecutable = (file: string) => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

export class NodeExecutor {
  readonly #options: NodeExecutorOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #written = new Map<string, string>();
  readonly #externals = new Map<string, Promise<string>>();
  #directory: string | undefined;
  #child: ChildProcess | undefined;
  #ready: Promise<Duplex> | undefined;
  #last = 0;

  constructor(options: NodeExecutorOptions) {
    this.#options = options;
  }

  /** What the Node modules of a package export; throws 400 `InvalidModules` or 500 without a `node`. */
  async analyze(target: NodeCode, env: Readonly<Record<string, string>>): Promise<readonly ModuleExports[]> {
    const modules = target.code.modules
      .filter((one) => one.environment === "node" && !one.path.startsWith("_deps/"))
      .map((one) => one.path);
    const result = await this.#call(target, { do: "analyze", modules, env });
    const analysis = (result.ok ? result.value : { failed: "", error: result.error }) as Analysis;
    if (!("failed" in analysis)) return analysis.modules;
    const { message, frames } = analysis.error as unknown as { message: string; frames: string };
    const loading = "Loading the pushed modules encountered the following\n    error:\n";
    throw new ApiError(
      400,
      "InvalidModules",
      `${loading}Uncaught Failed to analyze ${analysis.failed}: ${message}${frames}\n`,
    );
  }

  run(call: NodeCall): Promise<JobResult> {
    const { module, name, args, env, token, identity, onLog } = call;
    return this.#call(
      call,
      { do: "run", modules: [module], name, args, env, token, identity, origin: this.#options.origin() },
      onLog,
    );
  }

  /** `npm install` of external packages, once for the same list (contract 5.2); the folder that has them. */
  async install(dependencies: readonly ExternalPackage[]): Promise<string | undefined> {
    if (dependencies.length === 0) return undefined;
    const wanted = JSON.stringify(dependencies);
    const known = this.#externals.get(wanted) ?? this.#npmInstall(wanted, dependencies);
    this.#externals.set(wanted, known);
    known.catch(() => this.#externals.delete(wanted));
    return known;
  }

  /** With its child: a shutdown ends it, a kill does not. */
  close(): void {
    this.#child?.kill("SIGKILL");
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }

  async #npmInstall(wanted: string, dependencies: readonly ExternalPackage[]): Promise<string> {
    const npm = this.#find("npm");
    if (npm === undefined || this.#find("node") === undefined) throw this.#noNode();
    const folder = join(this.#home(), `externals-${createHash("sha256").update(wanted).digest("hex").slice(0, 16)}`);
    mkdirSync(folder, { recursive: true });
    const versions = Object.fromEntries(dependencies.map((one) => [one.name, one.version]));
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "externals", private: true, dependencies: versions }),
    );
    try {
      await promisify(execFile)(npm, ["install", "--no-audit", "--no-fund"], {
        cwd: folder,
        env: { ...this.#options.env },
      });
    } catch (error) {
      const text = (error as { stderr?: string }).stderr ?? String(error);
      const loading = "Loading the pushed modules encountered the following error:\nCommand failed: npm install\n";
      throw new ApiError(400, "InvalidExternalModules", loading + text);
    }
    return folder;
  }

  async #call(
    { code, folder }: NodeCode,
    fields: Record<string, unknown>,
    onLog?: (line: LogLine) => void,
  ): Promise<JobResult> {
    const socket = await this.#start();
    const directory = this.#write(code, folder ?? this.#home());
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, ...(onLog === undefined ? {} : { onLog }) });
      socket.write(`${JSON.stringify({ id, directory, ...fields })}\n`);
    });
  }

  #find(program: string): string | undefined {
    const folders = (this.#options.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
    const names = process.platform === "win32" ? [`${program}.exe`, `${program}.cmd`] : [program];
    return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
  }

  #noNode(): ApiError {
    this.#options.onError?.("Failed to create inner local node executor: No such file or directory");
    return internalError();
  }

  #home(): string {
    this.#directory ??= mkdtempSync(join(this.#options.tmpDir, ".tmp"));
    return this.#directory;
  }

  /** Writes the modules once; the folder's name marks our frames in stack traces. */
  #write(code: Package, base: string): string {
    const directory = join(base, `convex-package-${code.isolate.id}`);
    if (this.#written.has(directory)) return directory;
    for (const { path, source, sourceMap } of code.modules.filter((one) => one.environment === "node")) {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, source);
      if (sourceMap !== undefined) writeFileSync(`${file}.map`, sourceMap);
    }
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    this.#written.set(directory, code.isolate.id);
    return directory;
  }

  #start(): Promise<Duplex> {
    this.#ready ??= this.#spawn().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  #spawn(): Promise<Duplex> {
    const node = this.#find("node");
    if (node === undefined) return Promise.reject(this.#noNode());
    const script = join(this.#home(), "local.cjs");
    writeFileSync(script, nodeChildScript());
    const child = spawn(node, [script, "--fd", "3"], {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
      env: { ...this.#options.env },
    });
    this.#child = child;
    const socket = child.stdio[3] as Duplex;
    return new Promise((resolve, reject) => {
      child.once("error", () => reject(this.#noNode()));
      child.once("exit", () => {
        this.#child = undefined;
        this.#ready = undefined;
        for (const one of this.#waiting.values()) one.reject(internalError());
        this.#waiting.clear();
        reject(internalError());
      });
      socket.on("error", () => {});
      onLines(socket, (line) => {
        const message = JSON.parse(line) as FromChild;
        if (!("hello" in message)) return this.#receive(message);
        const major = Number(/^v(\d+)/.exec(message.hello)?.[1]);
        if (ACCEPTED_MAJORS.includes(major)) return resolve(socket);
        child.kill("SIGKILL");
        const text =
          'Deployment is not configured to deploy "use node" actions. Node.js v18, 20, 22 or 24 must be installed.';
        reject(new ApiError(400, "DeploymentNotConfiguredForNodeActions", text));
      });
    });
  }

  #receive(message: Exclude<FromChild, { hello: string }>): void {
    const waiting = this.#waiting.get(message.id);
    if ("log" in message) {
      waiting?.onLog?.({ level: message.log.level, messages: message.log.messages, timestamp: message.log.at });
      return;
    }
    this.#waiting.delete(message.id);
    waiting?.resolve(message.result);
  }
}

function onLines(stream: Duplex, each: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) each(line);
  });
}

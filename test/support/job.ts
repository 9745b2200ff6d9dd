import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

/** What one step left behind. */
export interface StepResult {
  readonly exitCode: number;
  /** Everything printed, both streams as they came, unmasked as a runner receives it. */
  readonly log: string;
  readonly outputs: ReadonlyMap<string, string>;
  /** Markdown. */
  readonly summary: string;
  /** Values of `::add-mask::`. */
  readonly masks: readonly string[];
}

/** When a step is killed: once its log, or what it has saved for its post step, matches; or once that is reached. */
export type Moment = { readonly log: RegExp } | { readonly state: RegExp } | { readonly reached: Promise<unknown> };

export interface StepOptions {
  readonly inputs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Gets each line as it is printed. */
  readonly onLine?: (line: string) => void;
  /** Kills the step with this signal at a moment, or that much later. */
  readonly killWhen?: Moment & { readonly signal: NodeJS.Signals; readonly afterMs?: number };
  /** Kills the step with this signal at that moment, if it still runs. */
  readonly killAfter?: { readonly ms: number; readonly signal: NodeJS.Signals };
}

/** The `NAME<<word` and `NAME=value` lines that a step writes for its runner. */
function parseFileCommands(text: string): Map<string, string> {
  const values = new Map<string, string>();
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const [, name, word] = /^([^=<]+)<<(.+)$/.exec(lines[at] ?? "") ?? [];
    if (name !== undefined) {
      const end = lines.indexOf(word ?? "", at + 1);
      values.set(name, lines.slice(at + 1, end).join("\n"));
      at = end;
      continue;
    }
    const [, key, value] = /^([^=]+)=(.*)$/.exec(lines[at] ?? "") ?? [];
    if (key !== undefined) values.set(key, value ?? "");
  }
  return values;
}

function unescapeCommand(text: string): string {
  return text.replace(/%0D/g, "\r").replace(/%0A/g, "\n").replace(/%25/g, "%");
}

/**
 * One job as GitHub's runner would carry it out, in small: command files, inputs as variables, state and exported
 * variables for later steps, masks. It runs the bundles themselves.
 */
export class Job {
  readonly directory: string;
  readonly workspace: string;
  readonly #exported = new Map<string, string>();
  readonly #state = new Map<string, string>();
  #step = 0;

  private constructor(directory: string, workspace: string) {
    this.directory = directory;
    this.workspace = workspace;
  }

  /** @param workspace the checked-out repository */
  static async create(workspace: string): Promise<Job> {
    const directory = await mkdtemp(join(tmpdir(), "job-"));
    await mkdir(join(directory, "temp"));
    await mkdir(join(directory, "tools"));
    return new Job(directory, workspace);
  }

  /** The environment of a step: the machine's, without what would make it another job. */
  environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    const own = Object.entries(process.env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && !/^(INPUT_|GITHUB_|STATE_|RUNNER_|CONVEX_|VITEST)/.test(entry[0]),
    );
    return {
      ...Object.fromEntries(own),
      PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
      CI: "true",
      GITHUB_ACTIONS: "true",
      GITHUB_WORKSPACE: this.workspace,
      GITHUB_REPOSITORY: "acme/chat",
      GITHUB_RUN_ID: "1",
      GITHUB_JOB: "test",
      RUNNER_TEMP: join(this.directory, "temp"),
      RUNNER_TOOL_CACHE: join(this.directory, "tools"),
      RUNNER_ENVIRONMENT: "github-hosted",
      ...Object.fromEntries(this.#exported),
      ...extra,
    };
  }

  /** Runs `dist/<entry>/index.js`, as main (`start`) or as post (`stop`) of the same step. */
  async action(entry: string, options: StepOptions = {}): Promise<StepResult> {
    this.#step += 1;
    const folder = join(this.directory, `step-${this.#step}`);
    await mkdir(folder);
    const files = ["OUTPUT", "ENV", "PATH", "STATE", "STEP_SUMMARY"] as const;
    for (const file of files) await writeFile(join(folder, file), "");
    const inputs = Object.entries(options.inputs ?? {}).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]);
    const state = [...this.#state].map(([name, value]) => [`STATE_${name}`, value]);
    const env = {
      ...this.environment(),
      ...Object.fromEntries(files.map((file) => [`GITHUB_${file}`, join(folder, file)])),
      ...Object.fromEntries(state),
      ...Object.fromEntries(inputs),
      ...options.env,
    };
    const { exitCode, log } = await this.#spawn(join(root, "dist", entry, "index.js"), env, options);
    const read = async (file: string): Promise<string> => await readFile(join(folder, file), "utf8");
    for (const [name, value] of parseFileCommands(await read("ENV"))) this.#exported.set(name, value);
    for (const [name, value] of parseFileCommands(await read("STATE"))) this.#state.set(name, value);
    return {
      exitCode,
      log,
      outputs: parseFileCommands(await read("OUTPUT")),
      summary: await read("STEP_SUMMARY"),
      masks: [...log.matchAll(/^::add-mask::(.*)$/gm)].map((match) => unescapeCommand(match[1] ?? "")),
    };
  }

  #spawn(file: string, env: Record<string, string>, options: StepOptions): Promise<{ exitCode: number; log: string }> {
    return new Promise((done, fail) => {
      const child = spawn(process.execPath, [file], { cwd: this.workspace, env, stdio: ["ignore", "pipe", "pipe"] });
      let log = "";
      let rest = "";
      let killer: NodeJS.Timeout | undefined;
      const { killWhen } = options;
      const kill = (): void => {
        if (killWhen?.afterMs === undefined) child.kill(killWhen?.signal);
        else killer ??= setTimeout(() => child.kill(killWhen.signal), killWhen.afterMs);
      };
      const looker = setInterval(() => {
        if (killWhen === undefined || !("state" in killWhen)) clearInterval(looker);
        else if (killWhen.state.test(readFileSync(env["GITHUB_STATE"] ?? "", "utf8"))) kill();
      }, 2);
      if (killWhen !== undefined && "reached" in killWhen) void killWhen.reached.then(kill);
      const take = (chunk: Buffer): void => {
        log += chunk.toString("utf8");
        if (killWhen !== undefined && "log" in killWhen && killWhen.log.test(log)) kill();
        const lines = (rest + chunk.toString("utf8")).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) options.onLine?.(line);
      };
      child.stdout.on("data", take);
      child.stderr.on("data", take);
      child.on("error", fail);
      const { killAfter } = options;
      const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill(killAfter.signal), killAfter.ms);
      child.on("exit", (code) => {
        clearInterval(looker);
        clearTimeout(killer);
        clearTimeout(timer);
        done({ exitCode: code ?? 137, log });
      });
    });
  }

  /** The state as the post step will get it; a step that was killed leaves what it had saved. */
  state(): ReadonlyMap<string, string> {
    return this.#state;
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What a person sees of a step's log: masks applied, commands in words or left out. */
export function readable(line: string, masks: readonly string[]): string | undefined {
  if (/^::(add-mask|stop-commands|save-state|set-output|debug)::|^::[0-9a-f-]{36}::$|^::endgroup::/.test(line))
    return undefined;
  let text = line.replace(/^::group::/, "▸ ").replace(/^::(error|warning|notice)[^:]*::/, "$1: ");
  text = unescapeCommand(text);
  for (const mask of masks) text = text.replaceAll(mask, "***");
  return text;
}

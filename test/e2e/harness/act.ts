/**
 * Runs workflows with act in host mode: as a self-hosted runner would, without a container around the job. What act does
 * otherwise than GitHub: it ignores `services:`, leaves `job.services.*` and `job.container.*` empty, and cancels a step
 * with SIGKILL.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { systemExec } from "../../../src/system/exec.ts";
import { localRepositories } from "./doubles.ts";
import { lockToCache, npmOffline } from "./npm.ts";
import { watchArguments } from "./processes.ts";
import { act as actProgram, root, tool } from "./tools.ts";
import { world } from "./world.ts";

/** One line of `act --json`. */
export interface ActEvent {
  readonly msg: string;
  readonly job?: string;
  readonly jobID?: string;
  readonly matrix?: Readonly<Record<string, unknown>>;
  readonly stage?: string;
  readonly step?: string;
  readonly stepID?: readonly string[];
  readonly stepResult?: string;
  readonly jobResult?: string;
  readonly raw_output?: boolean;
  readonly command?: string;
  readonly name?: string;
  readonly arg?: string;
  readonly content?: string;
  readonly kvPairs?: Readonly<Record<string, string>>;
}

export interface ActOptions {
  /** Folder of the project; made by `makeProject`. */
  readonly project: string;
  /** A file of test/e2e/workflows, or an absolute path. */
  readonly workflow: string;
  readonly secrets?: Readonly<Record<string, string>>;
  /** For `${{ vars.X }}`, beside those that describe the world (see `worldVariables`). */
  readonly vars?: Readonly<Record<string, string>>;
  /** For all steps. */
  readonly env?: Readonly<Record<string, string>>;
  /** What starts the workflow; a push when absent. */
  readonly event?: { readonly name: string; readonly payload: unknown };
  /** Runs the jobs in containers of this image instead of on the host. */
  readonly image?: string;
  /** The home of an earlier run: its tool cache is found again. */
  readonly home?: string;
  readonly args?: readonly string[];
  /** The run is cancelled, as by a user, at the first event for which this is true. */
  readonly cancelWhen?: (event: ActEvent) => boolean;
  /** The same, asked every few milliseconds: for moments that no event tells. */
  readonly cancelAt?: () => boolean;
  /** act is killed after that time, and the run tells so; 100 s when absent. */
  readonly timeoutMs?: number;
}

export interface Annotation {
  readonly level: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: string;
  readonly title?: string;
  readonly step: string;
}

const annotationLevels = ["notice", "warning", "error"];

/** What one run of act showed. */
export class ActRun {
  readonly exitCode: number;
  readonly events: readonly ActEvent[];
  /** Argument lists of all processes that were seen meanwhile, NUL replaced by a space. */
  readonly argv: readonly string[];
  readonly home: string;
  readonly ms: number;

  constructor(exitCode: number, events: readonly ActEvent[], argv: readonly string[], home: string, ms: number) {
    this.exitCode = exitCode;
    this.events = events;
    this.argv = argv;
    this.home = home;
    this.ms = ms;
  }

  /** All that a reader of the log sees, masks applied. */
  get log(): string {
    return this.events.map(({ msg }) => msg.replace(/\n$/, "")).join("\n");
  }

  /** Lines of one step's output. */
  output(step: string, stage = "Main"): string {
    return this.events
      .filter((event) => event.stage === stage && isStep(event, step))
      .map(({ msg }) => msg.replace(/\n$/, ""))
      .join("\n");
  }

  outputs(step: string): Record<string, string> {
    const set = this.events.filter((event) => event.command === "set-output" && isStep(event, step));
    return Object.fromEntries(set.map(({ name = "", arg = "" }) => [name, arg]));
  }

  /** `success`, `failure`, `skipped`, or undefined when the step never ended. With a matrix: of each leg. */
  results(step: string, stage = "Main"): string[] {
    return this.events.flatMap((event) =>
      event.stage === stage && event.stepResult !== undefined && isStep(event, step) ? [event.stepResult] : [],
    );
  }

  /** Character references resolved, as a reader sees it. */
  get summary(): string {
    const text = this.events
      .flatMap(({ command, content }) => (command === "summary" ? [content ?? ""] : []))
      .join("\n");
    return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
  }

  get annotations(): Annotation[] {
    return this.events
      .filter(({ command }) => annotationLevels.includes(command ?? ""))
      .map(({ command = "", arg = "", kvPairs = {}, step = "" }) => ({
        ...kvPairs,
        level: command,
        message: arg,
        step,
      }));
  }

  /** The first error that is shown with a code: `[code] … → …`. */
  get error(): string | undefined {
    const errors = this.annotations.filter(({ level }) => level === "error");
    return errors.find(({ message }) => /^\[[a-z0-9-]+\] /.test(message))?.message;
  }

  get errorCode(): string | undefined {
    return this.error?.match(/^\[([a-z0-9-]+)\]/)?.[1];
  }

  get masks(): string[] {
    return this.events.flatMap(({ command, arg }) => (command === "add-mask" && arg !== undefined ? [arg] : []));
  }

  /** What the steps exported, the last value of each name. */
  get exported(): Record<string, string> {
    const set = this.events.filter(({ command }) => command === "set-env");
    return Object.fromEntries(set.map(({ name = "", arg = "" }) => [name, arg]));
  }
}

function isStep(event: ActEvent, step: string): boolean {
  return event.step === step || (event.stepID?.includes(step) ?? false);
}

/** What workflows read as `${{ vars.X }}`. */
function worldVariables(): Record<string, string> {
  const { image, releases, binary, locked, untrusted, faultyRegistry } = world();
  return {
    REPOSITORY: image.repository,
    COMMIT: image.commit,
    DIGEST: image.digest,
    OTHER_COMMIT: image.other.commit,
    OTHER_DIGEST: image.other.digest,
    BASE_IMAGE: image.base,
    RELEASES_ORIGIN: releases.origin,
    RELEASES_PATH: releases.path,
    RELEASE: releases.tag,
    RELEASES_URL: `${releases.origin}${releases.path}`,
    BINARY: binary,
    LOCKED_REPOSITORY: locked.repository,
    UNTRUSTED_REPOSITORY: untrusted,
    FAULTY_REGISTRY: faultyRegistry,
  };
}

let runs = 0;

/** A project as a git repository of `acme/app`: files of a folder of this repository, then `files`. */
export async function makeProject(
  source = "examples/chat",
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = mkdtempSync(join(world().scratch, "project-"));
  const skip = /(^|\/)(node_modules|_generated|\.env\.local)(\/|$)/;
  cpSync(resolve(root, source), folder, { recursive: true, filter: (path) => !skip.test(path) });
  for (const [path, text] of Object.entries({ ".gitignore": "node_modules\n_generated\n", ...files })) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  lockToCache(folder);
  const git = async (...args: string[]): Promise<void> => {
    const identity = ["-c", "user.name=e2e", "-c", "user.email=e2e@example.com"];
    const result = await systemExec.run(tool("git"), ["-C", folder, ...identity, ...args]);
    if (result.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${result.stderr}`);
  };
  await git("init", "-q", "-b", "main");
  await git("remote", "add", "origin", "https://github.com/acme/app");
  await git("add", "-A");
  await git("commit", "-qm", "app");
  return folder;
}

function commandOf(options: ActOptions, folder: string): string[] {
  const { action } = world();
  if (action === undefined) throw new Error("dist/ is missing: npm run build");
  const file = resolve(root, "test/e2e/workflows", options.workflow);
  const workflow = join(options.project, ".github/workflows", basename(file));
  mkdirSync(join(options.project, ".github/workflows"), { recursive: true });
  if (file !== workflow) cpSync(file, workflow);
  const secrets = join(folder, "secrets.yml");
  const variables = join(folder, "vars.yml");
  // JSON is YAML; in files, because the arguments of act are searched for secrets too.
  writeFileSync(secrets, JSON.stringify(options.secrets ?? {}));
  writeFileSync(variables, JSON.stringify({ ...worldVariables(), ...options.vars }));
  const payload = join(folder, "event.json");
  writeFileSync(payload, JSON.stringify(options.event?.payload ?? {}));
  const platform = options.image === undefined ? "-self-hosted" : options.image;
  const env = Object.entries({
    ...npmOffline(),
    RUNNER_NAME: "act",
    DOUBLE_ORIGIN: options.project,
    ...options.env,
  }).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  return [
    ...[options.event?.name ?? "push", "-e", payload, "--json", "-W", workflow, "--rm", "--concurrent-jobs", "4"],
    ...["ubuntu-latest", "ubuntu-24.04"].flatMap((label) => ["-P", `${label}=${platform}`]),
    ...["--pull=false", "--action-offline-mode", "--no-cache-server", "--artifact-server-addr", "127.0.0.1"],
    ...localRepositories(action, options.project),
    ...["--secret-file", secrets, "--var-file", variables, ...env],
    ...(options.args ?? []),
  ];
}

function follow(child: ChildProcess, cancelWhen: ActOptions["cancelWhen"]): Promise<ActEvent[]> {
  const events: ActEvent[] = [];
  let cancelled = false;
  const { stdout } = child;
  if (stdout === null) throw new Error("act has no output");
  const lines = createInterface({ input: stdout });
  lines.on("line", (line) => {
    const event = line.startsWith("{") ? (JSON.parse(line) as ActEvent) : { msg: line };
    events.push(event);
    if (cancelled || cancelWhen?.(event) !== true) return;
    cancelled = true;
    child.kill("SIGINT");
  });
  return new Promise((done) => lines.on("close", () => done(events)));
}

/**
 * On a busy machine act may lose the last lines of a step that has ended: it reads them from a terminal beside the wait
 * for the process. Seen by a `stop-commands` that nothing ends in a step whose summary, written after it, is there.
 */
function lostAnEnd({ events }: ActRun): boolean {
  return events.some(({ command, arg, step, stage }) => {
    if (command !== "stop-commands") return false;
    const same = events.filter((event) => event.step === step && event.stage === stage);
    return !same.some((event) => event.command === arg) && same.some((event) => event.command === "summary");
  });
}

/** Runs a workflow; once more where act lost what a step had to say, and nobody cancelled it. */
export async function act(options: ActOptions): Promise<ActRun> {
  const run = await actOnce(options);
  const again = options.cancelWhen === undefined && options.cancelAt === undefined && lostAnEnd(run);
  return again ? await actOnce(options) : run;
}

async function actOnce(options: ActOptions): Promise<ActRun> {
  const { scratch, bin } = world();
  runs += 1;
  const home = options.home ?? mkdtempSync(join(scratch, `act-${process.pid}-${runs}-`));
  const started = performance.now();
  const watch = watchArguments();
  const log = join(home, "stderr");
  const child = spawn(actProgram(), commandOf(options, home), {
    cwd: options.project,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: `${bin}:${join(root, "test/recorder/bin")}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: home,
      TMPDIR: join(scratch, "tmp"),
    },
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const events = follow(child, options.cancelWhen);
  const { cancelAt } = options;
  const poll = setInterval(() => {
    if (cancelAt?.() !== true) return;
    clearInterval(poll);
    child.kill("SIGINT");
  }, 10);
  const timeoutMs = options.timeoutMs ?? 100_000;
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const exitCode = await new Promise<number>((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => done(code ?? -1));
  });
  clearTimeout(timer);
  clearInterval(poll);
  writeFileSync(log, errors);
  const ms = performance.now() - started;
  const argv = watch.stop();
  const seen = await events;
  if (ms > timeoutMs) seen.push({ msg: `act was killed after ${timeoutMs / 1000} s` });
  if (seen.length === 0) throw new Error(`act ran nothing: ${readFileSync(log, "utf8")}`);
  return new ActRun(exitCode, seen, argv, home, ms);
}

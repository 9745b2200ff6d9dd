import { readFileSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { delimiter, join, relative } from "node:path";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { DocumentFilter } from "./documents.ts";
import { scanFunctions } from "./env-reads.ts";
import type { Project } from "./project.ts";
import { classifyPush, PushError, type PushFailure } from "./push-failure.ts";
import { withoutColours } from "./push-output.ts";
import { olderThan, probeDialect, unfit } from "./push-probe.ts";
import type { PushContext } from "./push-verdict.ts";

export { PushError };

export interface PushRequest {
  readonly project: Project;
  /** Origin of the API, without a slash at the end (contract 5.1). */
  readonly url: string;
  readonly adminKey: string;
  readonly typecheck: "enable" | "try" | "disable";
  readonly codegen: "enable" | "disable";
  /** For one run of the CLI; 15 minutes when absent. */
  readonly timeoutMs?: number;
  readonly showDocuments?: boolean;
  /** What annotations are relative to. */
  readonly repositoryRoot: string;
  /** Ends the CLI; `push` then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Where the CLI is sent instead of `url`: a relay on this machine. Its output shows `url` all the same. */
  readonly through?: string;
}

export interface PushResult {
  readonly ms: number;
  readonly attempts: number;
  readonly cliVersion: string;
}

const ATTEMPTS = 3;

/**
 * Deploys with the project's own CLI. Its exit code decides; a failure by another deploy or a change in between is
 * tried again as a whole.
 * @throws PushError; ActionError deploy-timeout
 */
export async function push(deps: Deps, request: PushRequest): Promise<PushResult> {
  const start = deps.clock.now();
  const { cli } = request.project;
  const byArguments = olderThan(cli.version, [1, 19, 2]);
  if (byArguments) {
    deps.log.warning(
      `convex ${cli.version} knows no variables for self-hosted deployments, so the admin key is given to it as an argument, which other processes of this machine can read. Update convex to 1.19.2 or newer.`,
    );
  }
  if (!olderThan(cli.version, [1, 29, 2])) await checkDialect(deps, request);
  const node = await findNode(deps);
  for (let attempt = 1; ; attempt += 1) {
    const failure = await pushOnce(deps, request, node, byArguments);
    if (failure === undefined) return { ms: deps.clock.now() - start, attempts: attempt, cliVersion: cli.version };
    if (!failure.retry || attempt >= ATTEMPTS) throw new PushError(failure);
    deps.log.info(`${failure.message} Deploying again in ${attempt} s (${attempt + 1} of ${ATTEMPTS}).`);
    await deps.clock.sleep(attempt * 1000);
  }
}

/** Asks first, because CLIs from 1.29.2 on repeat a 404 for half a minute. What else may be wrong is left to the CLI. */
async function checkDialect(deps: Deps, { project, url }: PushRequest): Promise<void> {
  const { version } = project.cli;
  const verdict = unfit(version, await probeDialect(deps.http, url));
  if (verdict !== undefined) throw new PushError({ ...verdict, phase: "setup", annotations: [], retry: false });
}

async function pushOnce(
  deps: Deps,
  request: PushRequest,
  node: string,
  byArguments: boolean,
): Promise<PushFailure | undefined> {
  const { project, adminKey, through } = request;
  const url = through ?? request.url;
  const outward = (text: string): string => (through === undefined ? text : text.replaceAll(through, request.url));
  const timeoutMs = request.timeoutMs ?? 900_000;
  const printer = new LinePrinter(deps, request.showDocuments === true);
  const result = await deps.exec.run(
    node,
    [
      project.cli.main,
      "deploy",
      "--typecheck",
      request.typecheck,
      "--codegen",
      request.codegen,
      ...(byArguments ? ["--url", url, "--admin-key", adminKey] : []),
    ],
    {
      cwd: project.root,
      env: { ...cliEnvironment(deps.env, url, adminKey), ...withoutProxy(deps.env, new URL(url).hostname) },
      timeoutMs,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      onLine: (line) => printer.add(outward(withoutColours(line))),
    },
  );
  printer.flush();
  if (result.timedOut) {
    throw new ActionError(
      "deploy-timeout",
      `convex deploy did not end within ${Math.round(timeoutMs / 1000)} s. Its last line: ${lastLine(result.stderr)}`,
      "Indexes on large tables and the npm install of node.externalPackages take long; the backend's log tells which.",
    );
  }
  if (result.exitCode === 0) return undefined;
  const context = await contextOf(request);
  return classifyPush(outward(`${result.stdout}\n${result.stderr}`).trimStart(), result.exitCode, context);
}

function lastLine(text: string): string {
  return withoutColours(text).trimEnd().split("\n").at(-1) ?? "";
}

/**
 * The environment for the CLI: the job's own without what belongs to this action, and nothing in it that would send
 * the deploy elsewhere (contract 5.1; an empty value also wins over `.env.local`). `CI` keeps the CLI from calling
 * other hosts (5.5), `NO_COLOR` keeps its output readable (5.3).
 */
export function cliEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  url: string,
  adminKey: string,
): Record<string, string | undefined> {
  const dropped = /^(INPUT_|STATE_|ACTIONS_)|^(FORCE_COLOR|VERCEL)$/i;
  return {
    ...Object.fromEntries(Object.entries(env).filter(([name]) => !dropped.test(name))),
    CONVEX_DEPLOYMENT: "",
    CONVEX_DEPLOY_KEY: "",
    CONVEX_DEPLOYMENT_TOKEN: "",
    CONVEX_SELF_HOSTED_URL: url,
    CONVEX_SELF_HOSTED_ADMIN_KEY: adminKey,
    CI: "1",
    NO_COLOR: "1",
  };
}

/** The CLI would send its calls to a backend of this job, and to 127.0.0.1, by a proxy too (contract 5.5). */
function withoutProxy(env: Readonly<Record<string, string | undefined>>, host: string): Record<string, string> {
  const given = [env["NO_PROXY"], env["no_proxy"]].filter((list) => list !== undefined && list !== "");
  const list = [...new Set([...given, "127.0.0.1", host])].join(",");
  return { NO_PROXY: list, no_proxy: list };
}

/** The job's `node`, as `npx convex` would take it; this action's own where the job has none. */
async function findNode(deps: Deps): Promise<string> {
  const name = deps.platform === "win32" ? "node.exe" : "node";
  const path = deps.env["PATH"] ?? deps.env["Path"] ?? "";
  for (const directory of path.split(delimiter)) {
    if (directory === "") continue;
    const candidate = join(directory, name);
    const usable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return candidate;
  }
  return process.execPath;
}

async function contextOf(request: PushRequest): Promise<PushContext> {
  const { project } = request;
  const scan = await scanFunctions(project).catch(() => undefined);
  return {
    sources: {
      prefix: relative(request.repositoryRoot, project.root).replaceAll("\\", "/"),
      functionsPath: project.functionsPath,
      read: (file) => {
        try {
          return readFileSync(join(project.root, file), "utf8");
        } catch {
          return undefined;
        }
      },
    },
    cliVersion: project.cli.version,
    installCommand: project.installCommand,
    nodeModules: scan?.nodeModules ?? [],
    showDocuments: request.showDocuments === true,
  };
}

/** Prints lines as they come; those of one moment go together, so that they share one pair of markers. */
class LinePrinter {
  readonly #deps: Deps;
  readonly #filter: DocumentFilter | undefined;
  #lines: string[] = [];

  constructor(deps: Deps, showDocuments: boolean) {
    this.#deps = deps;
    this.#filter = showDocuments ? undefined : new DocumentFilter();
  }

  add(line: string): void {
    const shown = this.#filter === undefined ? line : this.#filter.line(line);
    if (shown === undefined) return;
    if (this.#lines.length === 0) setImmediate(() => this.flush());
    this.#lines.push(shown);
  }

  flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) this.#deps.log.foreign(lines);
  }
}

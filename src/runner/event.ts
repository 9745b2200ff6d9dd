import { readFileSync } from "node:fs";

type Env = Readonly<Record<string, string | undefined>>;

/** What started the run. */
export interface RunEvent {
  /** `pull_request`, `push`, …; empty outside of a workflow. */
  readonly name: string;
  /** As GitHub sent it; undefined when there is none that can be read. */
  readonly payload: unknown;
}

export function eventOf(env: Env): RunEvent {
  const name = env["GITHUB_EVENT_NAME"] ?? "";
  try {
    return { name, payload: JSON.parse(readFileSync(env["GITHUB_EVENT_PATH"] ?? "", "utf8")) };
  } catch {
    return { name, payload: undefined };
  }
}

/** The number of the pull request that this job runs for; undefined for every other event. */
export function pullRequestOf(env: Env): number | undefined {
  const { name, payload } = eventOf(env);
  if (name !== "pull_request" && name !== "pull_request_target") return undefined;
  const number = (payload as { pull_request?: { number?: unknown } } | undefined)?.pull_request?.number;
  return typeof number === "number" ? number : undefined;
}

/** Where GitHub's API is: another server's on GitHub Enterprise. */
export function apiUrlOf(env: Env): string {
  return env["GITHUB_API_URL"] || "https://api.github.com";
}

/** The page of this run; undefined outside of a workflow. */
export function runUrlOf(env: Env): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = env;
  return server && repository && run ? `${server}/${repository}/actions/runs/${run}` : undefined;
}

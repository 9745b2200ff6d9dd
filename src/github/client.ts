import type { getOctokit } from "@actions/github";
import { ActionError } from "../runner/errors.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/deps.ts";
import { answerOf, failureOf, type Need } from "./failure.ts";
import { pauseAfter } from "./limits.ts";

type Octokit = ReturnType<typeof getOctokit>;

/** No call takes that long unless something between us and GitHub is broken. */
const CALL_MS = 30_000;
/** All waits of one client together: what is told to GitHub must not hold up a job for longer. */
const PATIENCE_MS = 2 * 60_000;

export interface GitHubOptions {
  readonly token: string;
  /** `github.api_url`: the token is sent there and nowhere else. */
  readonly apiUrl: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly clock: Clock;
  readonly log: Pick<Log, "info">;
  /** Longest sum of the waits for limits and faults; two minutes when absent. */
  readonly patienceMs?: number;
}

/** GitHub's API for one repository: waits where GitHub asks for it, and says in the user's terms what failed. */
export class GitHub {
  readonly owner: string;
  readonly repo: string;
  /** `owner` and `repo`, as most calls want them. */
  readonly place: { readonly owner: string; readonly repo: string };
  /** An installation's token, such as the job's own: it may not ask who it is, and always is a bot. */
  readonly isInstallation: boolean;
  readonly rest: Octokit["rest"];
  readonly paginate: Octokit["paginate"];
  readonly request: Octokit["request"];
  readonly #options: GitHubOptions;
  #patience: number;

  private constructor(octokit: Octokit, options: GitHubOptions) {
    const [owner = "", repo = ""] = options.repository.split("/");
    this.owner = owner;
    this.repo = repo;
    this.place = { owner, repo };
    this.isInstallation = options.token.startsWith("ghs_");
    this.#options = options;
    this.#patience = options.patienceMs ?? PATIENCE_MS;
    octokit.hook.wrap("request", async (request, call) => {
      // A page's link to the next one is an address that the server chose.
      const target = new URL(call.url, `${options.apiUrl}/`);
      if (target.origin !== new URL(options.apiUrl).origin) throw new Error(`the token is not for ${target.origin}`);
      const limited = (): typeof call => ({
        ...call,
        request: { ...call.request, signal: AbortSignal.timeout(CALL_MS) },
      });
      const path = call.url.startsWith("/") ? call.url : target.pathname;
      return await this.#patiently(call.method, path, async () => await request(limited()));
    });
    this.rest = octokit.rest;
    this.paginate = octokit.paginate;
    this.request = octokit.request;
  }

  /** Loads `@actions/github` only now: runs that talk to nobody there need not wait for it. */
  static async connect(options: GitHubOptions): Promise<GitHub> {
    const { getOctokit } = await import("@actions/github");
    return new GitHub(getOctokit(options.token, { baseUrl: options.apiUrl }), options);
  }

  /**
   * Does `work`, and explains what it throws by what it was needed for.
   * @throws ActionError `github-permission`, `github-token-rejected`, `github-rate-limit`, `github-failed`
   */
  async ask<T>(need: Need, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof ActionError ? error : failureOf(error, need, this.#options.clock.now());
    }
  }

  async #patiently<T>(method: string, path: string, call: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call();
      } catch (error) {
        const pause = pauseAfter(answerOf(error), { method, attempt, now: clock.now() });
        if (pause === undefined || pause.ms > this.#patience) throw error;
        this.#patience -= pause.ms;
        log.info(`GitHub ${pause.why} (${method} ${path}); asked again in ${Math.ceil(pause.ms / 1000)} s.`);
        await clock.sleep(pause.ms);
      }
    }
  }
}

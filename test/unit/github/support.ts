import { GitHub } from "../../../src/github/client.ts";
import type { Clock } from "../../../src/system/clock.ts";
import { GitHubApi } from "../../support/github/api.ts";

export const TOKEN = "ghs_0123456789abcdef";
export const NOW = Date.parse("2026-11-27T18:00:00Z");

/** Jumps instead of waiting, and tells for how long. */
export class JumpingClock implements Clock {
  readonly slept: number[] = [];
  #now = NOW;
  now(): number {
    return this.#now;
  }
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.#now += ms;
  }
}

export interface Talk extends AsyncDisposable {
  readonly api: GitHubApi;
  readonly github: GitHub;
  readonly clock: JumpingClock;
  readonly lines: string[];
}

/** The double and a client of it. Ends with an error when the double was asked for what it does not know. */
export async function talk(
  options: { readonly token?: string; readonly base?: string; readonly patienceMs?: number } = {},
): Promise<Talk> {
  const api = await new GitHubApi(TOKEN, options.base === undefined ? {} : { base: options.base }).listen();
  const clock = new JumpingClock();
  const lines: string[] = [];
  const github = await GitHub.connect({
    token: options.token ?? TOKEN,
    apiUrl: api.url,
    repository: "acme/chat",
    clock,
    log: { info: (line) => lines.push(line) },
    ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
  });
  return {
    api,
    github,
    clock,
    lines,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      if (api.defects.length > 0) throw new Error(api.defects.join("; "));
    },
  };
}

import { BackendError } from "../deployment/backend-error.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { HttpFault } from "../system/http.ts";
import type { Ended, RunningBackend } from "./backend.ts";
import { bootFailure, READ_LINES, SHOWN_LINES } from "./boot-failure.ts";
import { redactor } from "./redact.ts";

export interface Identity {
  readonly instanceName: string;
  readonly adminKey: string;
}

export interface Expected extends Partial<Identity> {
  /** Tells the identity of an adopted backend whose secret is not known; asked once it answers. */
  readonly key?: (() => Promise<Identity>) | undefined;
  /** Makes a key in the legacy format, tried when the current one is answered with 401 (contract 2.2). */
  readonly legacyKey?: (() => string) | undefined;
  readonly timeoutMs: number;
  /** Never shown: instance secret, passwords. The keys are added. */
  readonly secrets: readonly string[];
  /** What to do when it does not become ready in time, where more is known than here. */
  readonly hint?: string | undefined;
}

export interface Ready extends Identity {
  /** `adminKey`, which the backend accepted, is the legacy one. */
  readonly legacy: boolean;
  /** From the call to the last proof. */
  readonly ms: number;
}

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 100;
/** `/version` is answered at once by a backend that is up (contract 1.5). */
const ANSWER_MS = 2000;
/** Long enough for a backend whose port another one took to end of it (contract 1.6: within half a second). */
const END_MS = 1000;

/** The state of one try: done, or what to show should the time run out now. */
type Try<T> = { readonly done: T } | { readonly seen: string; readonly cut?: boolean };

/**
 * Waits until the backend is proven to be ours and usable (contract 1.5): `/version`, its instance name, the admin key,
 * the site port. Ends at once when the backend has ended.
 * @throws ActionError `backend-exited`, `port-taken`, `backend-not-ready`, `other-instance`, `admin-key-rejected`
 */
export async function waitUntilReady(backend: RunningBackend, expected: Expected, deps: Deps): Promise<Ready> {
  const wait = new Wait(backend, expected, deps);
  return await wait.run();
}

class Wait {
  readonly #backend: RunningBackend;
  readonly #expected: Expected;
  readonly #deps: Deps;
  readonly #started: number;
  readonly #over = new AbortController();
  #ended: Ended | undefined;
  #identity: Identity | undefined;
  #legacy = false;

  constructor(backend: RunningBackend, expected: Expected, deps: Deps) {
    this.#backend = backend;
    this.#expected = expected;
    this.#deps = deps;
    this.#started = deps.clock.now();
  }

  async run(): Promise<Ready> {
    const { url, siteUrl } = this.#backend;
    void this.#backend.ended.then((ended) => {
      this.#ended = ended;
      this.#over.abort(new Error("the backend has ended"));
    });
    try {
      await this.#poll(`${url}/version`, () => this.#answers(`${url}/version`, [200]));
      const identity = await this.#identify();
      await this.#poll(`${url}/instance_name`, () => this.#name(identity));
      const [proven] = await Promise.all([
        this.#poll(`${url}/api/check_admin_key`, () => this.#key()),
        this.#poll(`${siteUrl}/version`, () => this.#answers(`${siteUrl}/version`)),
      ]);
      return { ...proven, legacy: this.#legacy, ms: this.#deps.clock.now() - this.#started };
    } catch (error) {
      if (this.#ended !== undefined) throw await this.#failure(this.#ended);
      throw error;
    } finally {
      this.#over.abort(new Error("no longer waiting"));
    }
  }

  async #identify(): Promise<Identity> {
    const { instanceName, adminKey, key } = this.#expected;
    if (instanceName !== undefined && adminKey !== undefined) this.#identity = { instanceName, adminKey };
    else this.#identity = await key?.();
    if (this.#identity === undefined) throw new Error("neither a key nor a way to get one");
    return this.#identity;
  }

  /** Tries again and again, ten times a second at the least. */
  async #poll<T>(what: string, attempt: () => Promise<Try<T>>): Promise<T> {
    const { clock } = this.#deps;
    let pause = FIRST_PAUSE_MS;
    let seen: string | undefined;
    for (;;) {
      const tried = await attempt();
      if ("done" in tried) return tried.done;
      // What the end of our own time cut short says less than the answer before it.
      if (tried.cut !== true || seen === undefined) seen = tried.seen;
      if (clock.now() - this.#started >= this.#expected.timeoutMs) throw await this.#late(what, seen);
      await clock.sleep(pause, this.#over.signal);
      pause = Math.min(LONGEST_PAUSE_MS, pause * 1.25);
    }
  }

  /** For one answer: no longer than the time that is left. */
  #patience(): number {
    const left = this.#expected.timeoutMs - (this.#deps.clock.now() - this.#started);
    return Math.max(1, Math.min(ANSWER_MS, Math.ceil(left)));
  }

  /** Any transport fault means "not yet": docker's proxy accepts and resets before the backend listens (contract 1.5). */
  async #answers(url: string, statuses?: readonly number[]): Promise<Try<string>> {
    const timeoutMs = this.#patience();
    try {
      const { signal } = this.#over;
      const answer = await this.#deps.http.request(url, { timeoutMs, signal, maxBytes: 1024 * 1024 });
      const known = statuses?.includes(answer.status) ?? true;
      return known ? { done: answer.text() } : { seen: `answers ${answer.status}` };
    } catch (error) {
      if (this.#over.signal.aborted) throw error;
      const cut = error instanceof HttpFault && error.code === "TIMEOUT" && timeoutMs < ANSWER_MS;
      return { seen: messageOf(error), cut };
    }
  }

  async #name({ instanceName }: Identity): Promise<Try<true>> {
    const answer = await this.#answers(`${this.#backend.url}/instance_name`, [200, 404]);
    if ("seen" in answer) return answer;
    if (answer.done === instanceName) return { done: true };
    // Whoever answers has our port: our own backend is about to end of that, which tells more.
    await this.#deps.clock.sleep(END_MS, this.#over.signal).catch(() => undefined);
    if (this.#ended !== undefined) throw this.#over.signal.reason;
    const other = /^[\w:.-]{1,64}$/.test(answer.done) ? `the Convex instance "${answer.done}"` : "something else";
    throw new ActionError(
      "other-instance",
      `At ${this.#backend.url} answers ${other}, not our "${instanceName}": its port is taken, or the address is another's.`,
      "Stop the other one, give this one other ports (port: 0 takes free ones), or correct instance-name.",
    );
  }

  async #key(): Promise<Try<Identity>> {
    const { http, clock, log } = this.#deps;
    const identity = this.#identity ?? (await this.#identify());
    const client = new DeploymentClient({ ...identity, url: this.#backend.url, http, clock, log, attempts: 1 });
    try {
      await client.checkAdminKey({ timeoutMs: this.#patience(), signal: this.#over.signal });
      return { done: identity };
    } catch (error) {
      if (!(error instanceof BackendError) || this.#over.signal.aborted) throw error;
      const passing = error.status === 0 || error.status === 429 || error.status >= 500;
      if (passing) return { seen: error.message };
      const adminKey = error.code === "admin-key-rejected" && !this.#legacy ? this.#expected.legacyKey?.() : undefined;
      if (adminKey === undefined) throw error;
      log.mask(adminKey);
      this.#legacy = true;
      this.#identity = { ...identity, adminKey };
      return { seen: error.message };
    }
  }

  #secrets(): string[] {
    const keys = [this.#expected.adminKey, this.#identity?.adminKey];
    return [...this.#expected.secrets, ...keys.filter((key) => key !== undefined)];
  }

  async #failure(ended: Ended): Promise<ActionError> {
    const afterMs = this.#deps.clock.now() - this.#started;
    const lines = await this.#backend.logs(READ_LINES);
    return bootFailure(ended, lines, { afterMs, secrets: this.#secrets() }, this.#deps.log);
  }

  async #late(what: string, seen: string): Promise<ActionError> {
    const lines = (await this.#backend.logs(SHOWN_LINES)).map(redactor(this.#secrets()));
    this.#deps.log.foreign(lines);
    const seconds = this.#expected.timeoutMs / 1000;
    return new ActionError(
      "backend-not-ready",
      `The backend runs, and was not ready within ${seconds} s; last seen: ${seenAt(what, seen)}.`,
      this.#expected.hint ??
        `${lines.length === 0 ? "Raise" : "Read its log above; raise"} ready-timeout if it was still working (a large database takes seconds).`,
    );
  }
}

/** What was seen mostly names the request itself. */
function seenAt(what: string, seen: string): string {
  const told = seen.replace(/[\s.]+$/, "");
  return told.includes(what) ? told : `${what}: ${told}`;
}

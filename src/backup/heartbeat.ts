import { ActionError } from "../runner/errors.ts";
import type { Inputs } from "../runner/inputs.ts";
import { redactKnown } from "../runner/mask.ts";
import type { Deps } from "../system/deps.ts";
import { HttpFault } from "../system/http.ts";

/** How a run ended. Only `complete` is a success; a backup that was left out, or that lacks a part, is none. */
export type Outcome =
  | { readonly kind: "complete"; readonly text: string }
  | { readonly kind: "failed" | "partial" | "skipped"; readonly text: string };

/**
 * How a monitor takes its pings: `paths` appends `/start` and `/fail` (healthchecks.io, Better Stack and most others),
 * `kuma` sets `status` and `msg` (Uptime Kuma's push URLs), `plain` is called on success and at no other time.
 */
type Convention = "paths" | "kuma" | "plain";

type Signal = "start" | "success" | "failure";

/** For all tries of one ping: no monitor may cost a run more. */
const PING_MS = 10_000;
/** How long the end of a run waits for its start to be told, so that the monitor hears of both in their order. */
const GRACE_MS = 2_000;
const LONGEST_TEXT = 8000;

function conventionOf(url: URL): Convention {
  if (url.hash === "#plain") return "plain";
  return /\/api\/push\/[^/]+$/.test(url.pathname) ? "kuma" : "paths";
}

function invalid(why: string): ActionError {
  return new ActionError(
    "input-invalid",
    `heartbeat-url ${why}.`,
    "Allowed: an https:// address that the monitor gives; #plain behind it where nothing may be appended.",
  );
}

/**
 * Reads `heartbeat-url`; masked whole and in its telling parts. Undefined when it is not set.
 * @throws ActionError `input-invalid`, `secret-too-short`
 */
export function readHeartbeatUrl(inputs: Inputs, mask: (secret: string) => void): URL | undefined {
  const text = inputs.secret("heartbeat-url")?.trim();
  if (text === undefined) return undefined;
  if (!URL.canParse(text)) throw invalid("is no URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw invalid("is neither https:// nor http://");
  if (url.hash !== "" && url.hash !== "#plain") throw invalid("ends with a # that is not #plain");
  const parts = [...url.pathname.split("/"), ...url.searchParams.values(), url.password];
  for (const part of parts) {
    // Words such as "heartbeat" stay readable in the log.
    if (part.length >= 16 || (part.length >= 8 && /\d/.test(part))) mask(part);
  }
  return url;
}

/** Tells a monitor outside GitHub how a run goes, which then raises its alarm also when nothing comes any more. */
export class Heartbeat {
  readonly #url: URL | undefined;
  readonly #deps: Pick<Deps, "http" | "clock" | "log">;
  readonly #ended = new AbortController();
  #started: Promise<void> = Promise.resolve();

  /** @param url without one nothing is ever sent */
  constructor(url: URL | undefined, deps: Pick<Deps, "http" | "clock" | "log">) {
    this.#url = url;
    this.#deps = deps;
  }

  /** Sent beside the work, which waits for no monitor. A heartbeat that fails is a warning. */
  start(): void {
    this.#started = this.#send("start", "", 1, this.#deps.clock.now() + PING_MS);
  }

  /** Never throws. */
  async end(outcome: Outcome): Promise<void> {
    const until = this.#deps.clock.now() + PING_MS;
    const grace = setTimeout(() => this.#ended.abort(), GRACE_MS);
    await this.#started;
    clearTimeout(grace);
    if (outcome.kind === "complete") await this.#send("success", outcome.text, 3, until);
    else await this.#send("failure", `${outcome.kind}: ${outcome.text}`, 3, until);
  }

  async #send(signal: Signal, text: string, attempts: number, until: number): Promise<void> {
    if (this.#url === undefined) return;
    const request = requestOf(this.#url, signal, redactKnown(text).slice(0, LONGEST_TEXT));
    if (request === undefined) return;
    let trouble = "";
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const pauseMs = attempt === 1 ? 0 : 1000 * attempt;
      const leftMs = until - this.#deps.clock.now() - pauseMs;
      if (leftMs <= 0) break;
      if (pauseMs > 0) await this.#deps.clock.sleep(pauseMs);
      const result = await this.#try(request, leftMs, signal === "start" ? this.#ended.signal : undefined);
      if (result === undefined) return;
      trouble = result.why;
      if (!result.again) break;
    }
    this.#deps.log.warning(
      `heartbeat-url: ${this.#url.host} did not take the ping "${signal}": ${trouble}. The run itself is not affected.`,
    );
  }

  async #try(
    request: Ping,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly why: string; readonly again: boolean } | undefined> {
    try {
      const { status } = await this.#deps.http.request(request.url, {
        method: request.method,
        timeoutMs,
        ...(signal === undefined ? {} : { signal }),
        maxBytes: 1024 * 1024,
        headers: { "user-agent": "convex-selfhost-action", ...(request.body === "" ? {} : TEXT) },
        ...(request.body === "" ? {} : { body: request.body }),
      });
      if (status >= 200 && status < 300) return undefined;
      // The address is a secret; where a redirect leads nobody has checked.
      if (status >= 300 && status < 400)
        return { why: `it redirects (${status}), which is not followed`, again: false };
      return { why: `it answers ${status}`, again: status >= 500 || status === 429 };
    } catch (failure) {
      if (signal?.aborted === true) return { why: "it had not answered when the run ended", again: false };
      // The message holds the path, and the path is the secret.
      return { why: failure instanceof HttpFault ? failure.code : "the request failed", again: true };
    }
  }
}

const TEXT = { "content-type": "text/plain; charset=utf-8" } as const;

interface Ping {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly body: string;
}

/** Undefined where the convention has no such ping. */
function requestOf(base: URL, signal: Signal, text: string): Ping | undefined {
  const url = new URL(base);
  url.hash = "";
  switch (conventionOf(base)) {
    case "plain":
      return signal === "success" ? { url: url.href, method: "GET", body: "" } : undefined;
    case "kuma":
      if (signal === "start") return undefined;
      url.searchParams.set("status", signal === "success" ? "up" : "down");
      url.searchParams.set("msg", text.slice(0, 200));
      return { url: url.href, method: "GET", body: "" };
    case "paths": {
      const ending = { start: "/start", success: "", failure: "/fail" }[signal];
      url.pathname = url.pathname.replace(/\/$/, "") + ending;
      return { url: url.href, method: "POST", body: text };
    }
  }
}

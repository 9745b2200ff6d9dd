import { ActionError, messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { HttpFault, type HttpStream } from "../system/http.ts";

/** Where releases are asked for. */
export interface ReleasesSource {
  /** Base of GitHub's releases API or of a mirror, without a trailing slash. */
  readonly url: string;
  /** Sent to exactly that origin, never along a redirect to another. */
  readonly token?: string | undefined;
}

const ATTEMPTS = 4;
const LONGEST_WAIT_MS = 20_000;
const REDIRECTS = 5;

/** Faults of TLS never pass by themselves: the certificate stays what it is. */
const TLS = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/;

/** An attempt that failed and may succeed later. */
class Passing extends Error {
  readonly error: ActionError;
  readonly waitMs: number | undefined;
  constructor(error: ActionError, waitMs?: number) {
    super(error.message);
    this.error = error;
    this.waitMs = waitMs;
  }
}

function unreachable(error: HttpFault): ActionError {
  if (TLS.test(error.code)) {
    return new ActionError(
      "releases-tls",
      `${error.message} (${error.code}): the server's certificate is not trusted.`,
      "If it is of your own authority, name its file in NODE_EXTRA_CA_CERTS; check releases-url otherwise.",
      { cause: error },
    );
  }
  return new ActionError(
    "releases-unreachable",
    error.message.includes(error.code) ? `${error.message}.` : `${error.message} (${error.code}).`,
    "Check the runner's network and proxy, set releases-url to a mirror, or give binary-path.",
    { cause: error },
  );
}

function refusal(status: number, where: string, headers: HttpStream["headers"]): ActionError | Passing {
  const after = Number(headers["retry-after"]);
  const limited = status === 429 || headers["x-ratelimit-remaining"] === "0" || headers["retry-after"] !== undefined;
  if ((status === 403 || status === 429) && limited) {
    const error = new ActionError(
      "releases-rate-limited",
      `${where} answers ${status}: too many requests from this address${resetOf(headers)}.`,
      "Set releases-token (github.token will do), use a release of the catalogue, or run again later.",
    );
    // Without a time the limit of GitHub's API is an hour: waiting for it would only look like a hang.
    return after * 1000 <= LONGEST_WAIT_MS ? new Passing(error, after * 1000) : error;
  }
  if (status === 401 || status === 403) {
    return new ActionError(
      "releases-forbidden",
      `${where} answers ${status}.`,
      "Check releases-token: it must be allowed to read the releases there; for public ones leave it out.",
    );
  }
  const error = new ActionError(
    "releases-unreachable",
    `${where} answers ${status}.`,
    "Run again later, set releases-url to a mirror, or give binary-path.",
  );
  return status >= 500 || status === 408 ? new Passing(error) : error;
}

function resetOf(headers: HttpStream["headers"]): string {
  const reset = Number(headers["x-ratelimit-reset"]);
  return reset > 0 ? `; the limit ends at ${new Date(reset * 1000).toISOString()}` : "";
}

/** `https://host/path` without query: signed download URLs carry their permission in it. */
function shown(url: URL): string {
  return `GET ${url.origin}${url.pathname}`;
}

async function follow(
  target: string,
  source: ReleasesSource,
  accept: string,
  deps: Deps,
): Promise<HttpStream | undefined> {
  let url = new URL(target);
  for (let hop = 0; hop <= REDIRECTS; hop++) {
    const mine = url.origin === new URL(source.url).origin && source.token !== undefined;
    const headers = {
      accept,
      "user-agent": "convex-selfhost-action",
      ...(mine ? { authorization: `Bearer ${source.token}` } : {}),
    };
    const { log, http } = deps;
    log.debug(shown(url));
    const answer = await http.stream(url.href, { headers });
    if (answer.status === 200) return answer;
    answer.body.resume();
    const { location } = answer.headers;
    if (answer.status === 404) return undefined;
    if (answer.status < 300 || answer.status >= 400 || location === undefined) {
      throw refusal(answer.status, shown(url), answer.headers);
    }
    const next = new URL(location, url);
    if (url.protocol === "https:" && next.protocol !== "https:") {
      throw new ActionError(
        "releases-unreachable",
        `${shown(url)} redirects from https to ${next.protocol}//${next.host}, which is not followed.`,
        "Check releases-url.",
      );
    }
    url = next;
  }
  throw new ActionError(
    "releases-unreachable",
    `${shown(url)}: more than ${REDIRECTS} redirects.`,
    "Check releases-url.",
  );
}

/**
 * GETs a URL and hands its body to `read`, all over again for faults that can pass (cut connections, 5xx, short rate
 * limits); bounded, and each retry is logged.
 * @returns undefined for 404
 * @throws ActionError `releases-unreachable`, `releases-tls`, `releases-rate-limited`, `releases-forbidden`, or what `read` throws
 */
export async function fetchRemote<T>(
  target: string,
  source: ReleasesSource,
  accept: string,
  read: (answer: HttpStream) => Promise<T>,
  deps: Deps,
): Promise<T | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await follow(target, source, accept, deps);
      return answer === undefined ? undefined : await read(answer);
    } catch (error) {
      const fault = passing(error);
      if (attempt === ATTEMPTS) throw fault.error;
      const waitMs = fault.waitMs ?? 500 * 3 ** (attempt - 1);
      deps.log.info(`${fault.error.message} Trying again in ${waitMs / 1000} s (${attempt} of ${ATTEMPTS - 1}).`);
      await deps.clock.sleep(waitMs);
    }
  }
}

/** The fault that may pass; throws the others. */
function passing(error: unknown): Passing {
  if (error instanceof Passing) return error;
  if (error instanceof ActionError) throw error;
  const fault = error instanceof HttpFault ? error : new HttpFault("CUT", messageOf(error), { cause: error });
  const told = unreachable(fault);
  if (told.code === "releases-tls" || fault.code === "ENOTFOUND" || fault.code === "TOO_LARGE") throw told;
  return new Passing(told);
}

/** Collects a small answer. */
export async function readText(answer: HttpStream, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      answer.body.destroy();
      throw new HttpFault("TOO_LARGE", `the answer is larger than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/deps.ts";
import { type Http, HttpFault, type HttpResponse, type HttpStream } from "../system/http.ts";
import { answerError, BackendError, faultError, readAnswer } from "./backend-error.ts";

/** Equal to package.json's version (a test checks it). The backend wants three numbers at the end (contract 3.1). */
export const CLIENT_VERSION = "1.0.0";

export interface ConnectionOptions {
  /** Origin of the API; a trailing slash is dropped, as the backend knows no `//api` (contract 3.1). */
  readonly url: string;
  readonly adminKey: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly log: Log;
  /** How often a call is tried where a fault can pass; 4 when absent. */
  readonly attempts?: number;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface RequestOptions extends CallOptions {
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, as `application/octet-stream`. */
  readonly bytes?: Uint8Array;
  /** Appended to the URL; never shown in errors. */
  readonly query?: Readonly<Record<string, string>>;
  /** Doing it twice is as good as once, so it is tried again after a cut connection, 429 and 503; `GET` always is. */
  readonly idempotent?: boolean;
  /** Sends no key. */
  readonly anonymous?: boolean;
}

/** Calls to one deployment, with its key, tried again where a fault can pass. Methods throw a `BackendError`. */
export class Connection {
  readonly url: string;
  readonly #key: string;
  readonly #http: Http;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #attempts: number;

  constructor(options: ConnectionOptions) {
    this.url = options.url.replace(/\/+$/, "");
    this.#key = options.adminKey;
    this.#http = options.http;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#attempts = options.attempts ?? 4;
  }

  /** For the calls that take it in their body; a getter, so that nothing that prints a client shows it. */
  protected get key(): string {
    return this.#key;
  }

  /** Any answer of 2xx; everything else throws. `path` begins with a slash. */
  async request(method: "GET" | "HEAD" | "POST", path: string, options: RequestOptions = {}): Promise<HttpResponse> {
    const what = `${method} ${this.url}${path}`;
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#once(method, path, what, options);
      if (!(outcome instanceof BackendError)) return outcome;
      const passing = canPass(outcome, method !== "POST" || options.idempotent === true);
      if (!passing || attempt >= this.#attempts) throw outcome;
      const waitMs = 200 * 2 ** (attempt - 1);
      const why = outcome.status === 0 ? outcome.backendCode : `${outcome.status} ${outcome.backendCode}`.trim();
      this.#log.info(`${what}: ${why}. Next try in ${waitMs / 1000} s (${attempt + 1} of ${this.#attempts}).`);
      await this.#clock.sleep(waitMs, options.signal);
    }
  }

  async #once(
    method: string,
    path: string,
    what: string,
    options: RequestOptions,
  ): Promise<HttpResponse | BackendError> {
    const query = options.query === undefined ? "" : `?${new URLSearchParams(options.query).toString()}`;
    const body = options.bytes ?? (options.json === undefined ? undefined : JSON.stringify(options.json));
    try {
      const response = await this.#http.request(`${this.url}${path}${query}`, {
        method,
        headers: {
          ...this.#headers(options),
          ...(body === undefined
            ? {}
            : { "content-type": options.bytes === undefined ? "application/json" : "application/octet-stream" }),
        },
        ...(body === undefined ? {} : { body }),
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      // 560 was the status of a failed function in early releases (contract 6.2).
      const answered = (response.status >= 200 && response.status < 300) || response.status === 560;
      return answered ? response : answerError(what, response);
    } catch (error) {
      if (error instanceof HttpFault) return faultError(what, error);
      throw error;
    }
  }

  #headers({ anonymous }: RequestOptions): Record<string, string> {
    return {
      ...(anonymous === true ? {} : { authorization: `Convex ${this.#key}` }),
      "convex-client": `convex-selfhost-action-${CLIENT_VERSION}`,
    };
  }

  /** The head of a 2xx answer with its body still to come, asked for once; `timeoutMs` is the longest silence then. */
  async stream(path: string, options: CallOptions = {}): Promise<HttpStream> {
    const what = `GET ${this.url}${path}`;
    try {
      const answer = await this.#http.stream(`${this.url}${path}`, { ...options, headers: this.#headers({}) });
      if (answer.status === 200) return answer;
      throw answerError(what, await readAnswer(answer));
    } catch (error) {
      throw error instanceof HttpFault ? faultError(what, error) : error;
    }
  }

  /** The JSON body of a 2xx answer. */
  async json(method: "GET" | "POST", path: string, options: RequestOptions = {}): Promise<unknown> {
    const response = await this.request(method, path, options);
    try {
      return response.json();
    } catch {
      throw answerError(`${method} ${this.url}${path}`, response);
    }
  }
}

/** A route that this release does not have; a 404 with a code is another matter (contract 3.1). */
export function isMissing(error: unknown): boolean {
  return error instanceof BackendError && error.status === 404 && error.backendCode === "";
}

function canPass(error: BackendError, idempotent: boolean): boolean {
  if (error.status === 429) return true; // Refused before anything was done.
  if (error.status === 0 && error.backendCode === "ECONNREFUSED") return true;
  return idempotent && (error.status === 503 || ["ECONNRESET", "EPIPE"].includes(error.backendCode));
}

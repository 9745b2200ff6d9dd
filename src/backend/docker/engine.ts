import { ActionError, messageOf } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { HttpFault, type HttpRequest, type HttpResponse, type HttpStream } from "../../system/http.ts";
import { type EngineAddress, type EngineTransport, findEngine, transportOf } from "./address.ts";
import { fieldsOf, textOf } from "./fields.ts";

/** Oldest version with everything used here (engine 20.10), newest that it was written for. */
const OLDEST = [1, 41] as const;
const NEWEST = [1, 56] as const;

/** The engine said no. `reason` is its own text, `status` the HTTP status. */
export class EngineFault extends ActionError {
  readonly status: number;
  readonly reason: string;
  constructor(where: string, what: string, status: number, reason: string) {
    super(
      "engine-refused",
      `The Docker engine at ${where} could not ${what}: ${reason.replace(/[.\s]+$/, "")} (status ${status}).`,
      "Look at the engine's log if its message does not say why.",
    );
    this.status = status;
    this.reason = reason;
  }
}

export interface EngineCall {
  readonly method?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A connection to an engine that runs Linux containers: requests by path, failures as `EngineFault` or `engine-lost`. */
export class Engine {
  readonly address: EngineAddress;
  /** As people know it: the address without its TLS folder. */
  readonly where: string;
  /** Host of a `tcp://` engine. */
  readonly host: string | undefined;
  readonly apiVersion: string;
  readonly #deps: Deps;
  readonly #transport: EngineTransport;

  constructor(deps: Deps, address: EngineAddress, transport: EngineTransport, apiVersion: string, where?: string) {
    this.address = address;
    this.where = where ?? withoutTls(address);
    this.host = transport.host;
    this.apiVersion = apiVersion;
    this.#deps = deps;
    this.#transport = transport;
  }

  /** @param what completes "The engine could not …" */
  async request(what: string, path: string, call: EngineCall = {}): Promise<HttpResponse> {
    const response = await this.#reach(what, () => this.#deps.http.request(this.#url(path, call), this.#options(call)));
    if (response.status >= 400) throw this.#fault(what, response.status, response.text());
    return response;
  }

  /** Like `request`, with the body as it comes; `timeoutMs` is the longest silence, 0 for none. */
  async stream(what: string, path: string, call: EngineCall = {}): Promise<HttpStream> {
    const response = await this.#reach(what, () => this.#deps.http.stream(this.#url(path, call), this.#options(call)));
    if (response.status < 400) return response;
    const chunks: Buffer[] = [];
    for await (const chunk of response.body as AsyncIterable<Buffer>) chunks.push(chunk);
    throw this.#fault(what, response.status, String(Buffer.concat(chunks)));
  }

  async #reach<T>(what: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      throw new ActionError(
        "engine-lost",
        `The Docker engine at ${this.where} gave no answer when asked to ${what}: ${error.message}.`,
        "Check whether it still runs (docker info), and its log.",
        { cause: error },
      );
    }
  }

  #url(path: string, call: EngineCall): string {
    const query = new URLSearchParams(call.query).toString();
    return `${this.#transport.base}/v${this.apiVersion}${path}${query === "" ? "" : `?${query}`}`;
  }

  #options(call: EngineCall): HttpRequest {
    const { socketPath, tls } = this.#transport;
    return {
      method: call.method ?? "GET",
      headers: { ...call.headers, ...(call.body === undefined ? {} : { "content-type": "application/json" }) },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      timeoutMs: call.timeoutMs ?? 60_000,
      ...(call.signal === undefined ? {} : { signal: call.signal }),
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(tls === undefined ? {} : { tls }),
    };
  }

  #fault(what: string, status: number, body: string): EngineFault {
    let reason = body.trim();
    try {
      reason = textOf(fieldsOf(JSON.parse(body))["message"]) ?? reason;
    } catch {
      // Proxies in front of an engine answer in plain text.
    }
    return new EngineFault(this.where, what, status, reason || "no reason given");
  }
}

/**
 * Connects to the engine at `address`, or to the one that the `docker` command would use.
 * @param known what people call it, where the address is only our way to it
 * @throws ActionError `engine-not-running`, `engine-not-permitted`, `engine-windows-containers`, `engine-too-old`, `engine-address`, `engine-context`, `engine-tls`
 */
export async function connectEngine(deps: Deps, address?: EngineAddress, known?: string): Promise<Engine> {
  const chosen = address ?? findEngine(deps.env, deps.platform);
  const where = known ?? withoutTls(chosen);
  const transport = transportOf(chosen);
  const ping = await deps.http
    .request(`${transport.base}/_ping`, {
      timeoutMs: 10_000,
      ...(transport.socketPath === undefined ? {} : { socketPath: transport.socketPath }),
      ...(transport.tls === undefined ? {} : { tls: transport.tls }),
    })
    .catch((error: unknown) => {
      throw unreachable(where, error);
    });
  if (ping.status !== 200) throw notRunning(where, `it answers with status ${ping.status}`);
  if (header(ping, "ostype") === "windows") throw windowsOnly();
  return new Engine(deps, chosen, transport, negotiated(where, header(ping, "api-version") ?? "1.41"), where);
}

function header(response: HttpResponse, name: string): string | undefined {
  return textOf(response.headers[name]);
}

function withoutTls(address: EngineAddress): string {
  return address.replace(/#.*$/, "");
}

function negotiated(where: string, theirs: string): string {
  const [major = 0, minor = 0] = theirs.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new ActionError(
      "engine-too-old",
      `The Docker engine at ${where} speaks API ${theirs}; this action needs ${OLDEST.join(".")} (Docker 20.10) or newer.`,
      "Update Docker, or set runtime: binary.",
    );
  }
  return major > NEWEST[0] || minor > NEWEST[1] ? NEWEST.join(".") : theirs;
}

function windowsOnly(): ActionError {
  return new ActionError(
    "engine-windows-containers",
    "The Docker engine here runs Windows containers only; the backend's image is for Linux.",
    "Set runtime: binary (or auto) on this runner, or switch the engine to Linux containers.",
  );
}

function notRunning(where: string, why: string): ActionError {
  return new ActionError(
    "engine-not-running",
    `No Docker engine answers at ${where}: ${why}.`,
    "Start Docker, or set runtime: binary, which needs none (also on macOS and Windows runners).",
  );
}

function unreachable(where: string, error: unknown): ActionError {
  const code = error instanceof HttpFault ? error.code : "";
  if (code === "EACCES" || code === "EPERM") {
    return new ActionError(
      "engine-not-permitted",
      `The Docker engine at ${where} may not be used by the user that runs this job.`,
      "Add that user to the group docker and start the runner again, or set runtime: binary.",
      { cause: error },
    );
  }
  if (/^(CERT_|ERR_TLS|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|EPROTO|ERR_SSL|ERR_OSSL)/.test(code)) {
    return new ActionError(
      "engine-tls",
      `The Docker engine at ${where} is there, but the TLS connection fails (${code}).`,
      "Check DOCKER_TLS_VERIFY and the files ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH.",
      { cause: error },
    );
  }
  const why: Record<string, string> = {
    ENOENT: "there is no such socket",
    ECONNREFUSED: "nothing listens there",
    ENOTFOUND: "the host is not known",
    TIMEOUT: "no answer within 10 s",
  };
  return notRunning(where, why[code] ?? messageOf(error));
}

/** Whether an engine for Linux containers answers; for `runtime: auto`. */
export async function canRunLinux(deps: Deps): Promise<boolean> {
  try {
    await connectEngine(deps);
    return true;
  } catch (error) {
    deps.log.debug(messageOf(error));
    return false;
  }
}

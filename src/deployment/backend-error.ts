import { ActionError, messageOf } from "../runner/errors.ts";
import type { HttpResponse, HttpStream } from "../system/http.ts";
import { HttpFault } from "../system/http.ts";

/** A backend that did not do what it was asked: no answer, or one that says no. */
export class BackendError extends ActionError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** `code` of the answer (`EnvVarLimitMet`), or Node's error code; empty where there is none. */
  readonly backendCode: string;

  constructor(
    code: string,
    message: string,
    hint: string,
    facts: { status: number; backendCode: string; cause?: unknown },
  ) {
    super(code, message, hint, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "BackendError";
    this.status = facts.status;
    this.backendCode = facts.backendCode;
  }
}

interface Wire {
  readonly code: string;
  readonly message: string;
}

/** The `{code, message}` of an error answer (contract 3.1); undefined for anything else (a proxy's HTML, nothing). */
export function wireError(text: string): Wire | undefined {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== "object" || body === null || !("code" in body) || typeof body.code !== "string")
      return undefined;
    return { code: body.code, message: "message" in body && typeof body.message === "string" ? body.message : "" };
  } catch {
    return undefined;
  }
}

/** Nothing that is read into an error text is longer. */
const LONGEST_ANSWER = 64 * 1024;

/** The answer that came instead of a stream, as far as an error text needs it. */
export async function readAnswer({ status, headers, body }: HttpStream): Promise<HttpResponse> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LONGEST_ANSWER) break;
  }
  const whole = Buffer.concat(chunks);
  return {
    status,
    headers,
    body: whole,
    text: () => whole.toString("utf8"),
    json: () => JSON.parse(whole.toString("utf8")) as unknown,
  };
}

const KEY_HINT =
  "Make a new one on the server with ./generate_admin_key.sh and update the secret that holds it, or check that the URL is that of the same instance.";

/** `what` is method, origin and path: it stands in the message, so it has no query and no key. */
export function answerError(what: string, response: HttpResponse): BackendError {
  const text = response.text();
  const wire = wireError(text);
  const { status } = response;
  const facts = { status, backendCode: wire?.code ?? "" };
  if (wire === undefined) return foreignAnswer(what, status, text, facts);
  if (status === 401 && wire.code === "BadAdminKey") {
    return new BackendError(
      "admin-key-rejected",
      `The backend does not accept the admin key (${what}): it was made for another instance name, or the instance secret is another one.`,
      KEY_HINT,
      facts,
    );
  }
  if (status === 403) return forbidden(what, wire, facts);
  const message = wire.message.trim().replace(/\s*\n\s*/g, " ");
  return new BackendError(
    "backend-refused",
    `${what} was answered with ${status} ${wire.code}: ${message}`,
    status >= 500
      ? "The cause is in the backend's own log; look there for the time of this call."
      : "The text after the code is the backend's own; change what it names.",
    facts,
  );
}

function forbidden(what: string, wire: Wire, facts: { status: number; backendCode: string }): BackendError {
  const kind =
    wire.code === "BadDeployKey"
      ? "it is a system key, which administers nothing"
      : "it is a read-only key, which changes nothing";
  return new BackendError(
    "admin-key-forbidden",
    `The admin key may not do this (${what}): ${kind}.`,
    "Use a key that ./generate_admin_key.sh prints without options.",
    facts,
  );
}

function foreignAnswer(
  what: string,
  status: number,
  text: string,
  facts: { status: number; backendCode: string },
): BackendError {
  if (status === 404) {
    const site = /HTTP actions enabled|No matching routes found/.test(text);
    return new BackendError(
      "backend-route-missing",
      site
        ? `${what} was answered by the port of the HTTP actions, not by the API.`
        : `${what} was answered with 404: this is no Convex backend, or a release that does not know this call yet.`,
      site
        ? "Give the URL of the API (port 3210 by default)."
        : "Check the URL: scheme, host and port of the API, without a path.",
      facts,
    );
  }
  const kind = /^\s*</.test(text)
    ? "an HTML page"
    : text.trim() === ""
      ? "an empty body"
      : "a body that is not the backend's";
  return new BackendError(
    "backend-answer-unreadable",
    `${what} was answered with ${status} and ${kind}, so something else answers there, usually a proxy.`,
    "Look at the proxy's log and its way to the backend; its limits on body size and time apply too.",
    facts,
  );
}

/** A transport fault. The message of an `HttpFault` already names method, origin and path. */
export function faultError(what: string, error: unknown): BackendError {
  const code = error instanceof HttpFault ? error.code : "";
  return new BackendError(
    "backend-unreachable",
    error instanceof HttpFault ? `${error.message}.` : `${what}: ${messageOf(error)}.`,
    "Check that the backend runs and that this job reaches it under this URL.",
    { status: 0, backendCode: code, cause: error },
  );
}

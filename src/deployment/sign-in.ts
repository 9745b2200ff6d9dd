import { ActionError, messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { Http, HttpResponse } from "../system/http.ts";
import { asRecord } from "./json.ts";

/** What was found when the app was asked as an issuer of tokens. */
export interface SignInFinding {
  /** `error` where the keys were pushed by us and so sign-in was wanted; else `warning`. */
  readonly level: "error" | "warning" | "ok";
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface SignInCheck {
  /** Where this job reaches the HTTP actions. */
  readonly siteUrl: string;
  /** What the backend calls them: the issuer of the app's tokens. */
  readonly siteOrigin: string;
  /** The JWKS that was pushed. */
  readonly jwks?: string;
}

const SET_KEYS = "Set auth: convex-auth, or push JWT_PRIVATE_KEY and JWKS that belong together.";

/**
 * The check as the end of a deploy. Warnings are told; the site that this job cannot reach is one of them where `closed`
 * says that it may be open to the backend, which is the one that asks.
 * @returns what the summary says
 * @throws ActionError with the code of the first defect
 */
export async function proveSignIn(
  { http, log }: Pick<Deps, "http" | "log">,
  check: SignInCheck & { readonly closed: boolean },
): Promise<string> {
  const findings = (await checkSignIn(http, check)).filter(({ level }) => level !== "ok");
  for (const { level, code, message, hint } of findings) {
    if (level === "error" && !(check.closed && code === "sign-in-unreachable")) {
      throw new ActionError(code, message, hint);
    }
    log.warning(`${message} → ${hint}`);
  }
  return findings[0]?.message ?? "discovery document and keys answer";
}

/**
 * Fetches what the backend itself will fetch for the first token: the discovery document and the keys (contract 8.4).
 * A green deploy does not tell that they are there (contract 12). Never throws.
 */
export async function checkSignIn(http: Http, check: SignInCheck): Promise<SignInFinding[]> {
  const level = check.jwks === undefined ? "warning" : "error";
  const finding = (code: string, message: string, hint: string): SignInFinding[] => [{ level, code, message, hint }];
  const path = "/.well-known/openid-configuration";
  const discovery = await get(http, `${check.siteUrl}${path}`);
  if (typeof discovery === "string") {
    return finding(
      "sign-in-unreachable",
      `The app's discovery document cannot be fetched: ${discovery}`,
      "Check the port of the HTTP actions.",
    );
  }
  if (discovery.status === 404) {
    return finding(
      "sign-in-discovery-missing",
      `auth.config names the backend's own site as issuer, but the app has no route ${path}, so no token will be accepted.`,
      "Add the routes in convex/http.ts: `auth.addHttpRoutes(http)` with Convex Auth.",
    );
  }
  const document = asRecord(jsonOf(discovery));
  const issuer = document["issuer"];
  const keysUrl = document["jwks_uri"];
  if (discovery.status !== 200 || typeof issuer !== "string" || typeof keysUrl !== "string") {
    return finding(
      "sign-in-discovery-invalid",
      `The app's ${path} answers ${described(discovery)} instead of a document with issuer and jwks_uri.`,
      SET_KEYS,
    );
  }
  if (issuer !== check.siteOrigin) {
    return finding(
      "sign-in-issuer-mismatch",
      `The app calls itself ${issuer} in its discovery document, the backend calls it ${check.siteOrigin}; they must be equal, so no token will be accepted.`,
      "Use process.env.CONVEX_SITE_URL for both, without a slash at the end.",
    );
  }
  return await checkKeys(http, check, keysUrl, finding);
}

async function checkKeys(
  http: Http,
  check: SignInCheck,
  keysUrl: string,
  finding: (code: string, message: string, hint: string) => SignInFinding[],
): Promise<SignInFinding[]> {
  // From this job the site may have another address than from the backend.
  const own = keysUrl.startsWith(`${check.siteOrigin}/`);
  const answer = await get(http, own ? check.siteUrl + keysUrl.slice(check.siteOrigin.length) : keysUrl);
  if (typeof answer === "string") {
    return finding(
      "sign-in-unreachable",
      `The app's keys cannot be fetched: ${answer}`,
      "Correct jwks_uri in the discovery document.",
    );
  }
  const list = asRecord(jsonOf(answer))["keys"];
  if (answer.status !== 200 || !Array.isArray(list) || list.length === 0) {
    return finding(
      "sign-in-keys-missing",
      `The app's keys (${new URL(keysUrl).pathname}) answer ${described(answer)}, so no token will be accepted: usually JWKS or JWT_PRIVATE_KEY is not set.`,
      SET_KEYS,
    );
  }
  const keys = list.map(asRecord);
  if (keys.length > 1 && keys.some((key) => key["kid"] === undefined)) {
    return finding(
      "sign-in-keys-ambiguous",
      `The app gives out ${keys.length} keys, not all with a kid; the backend then accepts no token.`,
      "Leave one key in JWKS, or give each a kid and name it in the tokens.",
    );
  }
  const pushed = asRecord(parse(check.jwks ?? ""))["keys"];
  const wanted = Array.isArray(pushed) ? asRecord(pushed[0])["n"] : undefined;
  if (wanted !== undefined && !keys.some((key) => key["n"] === wanted)) {
    return finding(
      "sign-in-keys-mismatch",
      "The app gives out other keys than the ones that were pushed, so its tokens will not be accepted.",
      SET_KEYS,
    );
  }
  return [{ level: "ok", code: "sign-in-ok", message: "The app's discovery document and keys answer.", hint: "" }];
}

async function get(http: Http, url: string): Promise<HttpResponse | string> {
  try {
    return await http.request(url, { timeoutMs: 15_000 });
  } catch (error) {
    return messageOf(error);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const jsonOf = (response: HttpResponse): unknown => parse(response.text());

function described(response: HttpResponse): string {
  const body = response.text();
  return `${response.status} with ${body.trim() === "" ? "an empty body" : jsonOf(response) === undefined ? "a body that is no JSON" : "JSON that has none"}`;
}

/**
 * User tokens (contract 3.1, 8.4): which provider of the deployed auth config a JWT belongs to, whether it is good, and
 * what `ctx.auth.getUserIdentity()` then returns. Discovery and keys are fetched anew each time, so a changed key set
 * is seen by the next request (contract 1.7).
 */
import { compactVerify, importJWK, type JWK } from "jose";
import type { Backend } from "./backend.ts";
import { providers } from "./deploy/deployed.ts";
import { ApiError, type UserIdentity } from "./types.ts";
import { identityOf } from "./user-identity.ts";

export type Provider =
  | { readonly domain: string; readonly applicationID: string }
  | {
      readonly type: "customJwt";
      readonly issuer: string;
      readonly jwks: string;
      readonly algorithm: string;
      readonly applicationID?: string | undefined;
    };

export interface TokenContext {
  readonly providers: readonly Provider[];
  /** `--redact-logs-to-client` leaves the list of providers out */
  readonly redact: boolean;
  readonly nowMs: () => number;
}

/** Bearer tokens are checked against the deployed auth config from now on. */
export function attachUsers(backend: Backend): void {
  const redact = backend.options.redactLogs === true;
  backend.identities.verifyToken = (text) =>
    verifyToken(text, { providers: backend.store.read(providers), redact, nowMs: Date.now });
}

interface Token {
  readonly text: string;
  readonly header: { readonly alg?: unknown; readonly kid?: unknown };
  readonly claims: Claims;
}

interface Claims {
  readonly [name: string]: unknown;
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | string[];
  readonly exp?: number;
  readonly iat?: number;
  readonly nbf?: number;
}

const invalid = (message: string) => new ApiError(401, "InvalidAuthHeader", message);

/** @throws ApiError with the texts of contract 3.1 and 8.4 */
export async function verifyToken(text: string, context: TokenContext): Promise<UserIdentity> {
  const token = parseToken(text);
  const { iss } = token.claims;
  if (iss === undefined) {
    throw invalid(
      "Missing issuer claim ('iss') in JWT payload. The JWT must include an 'iss' claim that matches one of your configured auth providers.",
    );
  }
  const provider = context.providers.find((p) => fits(p, iss, token.claims.aud));
  if (provider === undefined) throw noProvider(context);
  const subject =
    "domain" in provider ? await verifyOidc(token, iss, context) : await verifyCustom(token, provider, context);
  return identityOf(token.claims, iss, subject, "type" in provider);
}

// ---------------------------------------------------------------- reading

/** The payload alone decides whether it is a JWT; a missing third part shows only when the signature is checked. */
function parseToken(text: string): Token {
  const [head = "", body = ""] = text.split(".");
  const claims = jsonPart(body);
  if (claims === undefined || !plausible(claims)) {
    throw invalid(
      "Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded parts separated by dots.",
    );
  }
  return { text, header: jsonPart(head) ?? {}, claims };
}

function jsonPart(part: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof json === "object" && json !== null && !Array.isArray(json) ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}

function plausible(claims: Record<string, unknown>): claims is Claims {
  const optional = (name: string, type: string) => claims[name] === undefined || typeof claims[name] === type;
  const aud = claims["aud"];
  const audience = Array.isArray(aud) ? aud.every((a) => typeof a === "string") : optional("aud", "string");
  return (
    audience &&
    ["iss", "sub"].every((name) => optional(name, "string")) &&
    ["exp", "iat", "nbf"].every((name) => optional(name, "number"))
  );
}

// ---------------------------------------------------------------- choosing the provider

function domainOf(provider: { domain: string }): string {
  return /^https?:\/\//.test(provider.domain) ? provider.domain : `https://${provider.domain}`;
}

const bare = (url: string) => url.replace(/\/$/, "");

/** A trailing slash of the issuer does not matter here; the audience may be one of a list. */
function fits(provider: Provider, iss: string, aud: string | string[] | undefined): boolean {
  const issuer = "domain" in provider ? domainOf(provider) : provider.issuer;
  if (bare(issuer) !== bare(iss)) return false;
  const wanted = provider.applicationID;
  return wanted === undefined || [aud].flat().includes(wanted);
}

function noProvider({ providers, redact }: TokenContext): ApiError {
  const text = "No auth provider found matching the given token";
  if (providers.length === 0) {
    return new ApiError(401, "NoAuthProvider", `${text} (no providers configured). Check convex/auth.config.ts.`);
  }
  const oidc = providers.flatMap((p) =>
    "domain" in p ? [`OIDC(domain=${domainOf(p)}, app_id=${p.applicationID})`] : [],
  );
  const custom = providers.flatMap((p) =>
    "domain" in p ? [] : [`CustomJWT(issuer=${p.issuer}, app_id=${p.applicationID ?? "none"})`],
  );
  const advice = "Check that your JWT's issuer and audience match one of your configured providers";
  const list = redact ? "" : `: [${[...oidc, ...custom].join(", ")}]`;
  return new ApiError(401, "NoAuthProvider", `${text}. ${advice}${list}`);
}

// ---------------------------------------------------------------- OIDC

/** Returns the subject. */
async function verifyOidc(token: Token, iss: string, context: TokenContext): Promise<string> {
  const { claims, header } = token;
  const { sub } = claims;
  if (claims.exp === undefined || claims.iat === undefined || sub === undefined || typeof header.alg !== "string") {
    throw invalid("Could not parse as OIDC ID token. Token might not be an OIDC-compliant JWT.");
  }
  const keys = await discover(iss);
  const candidates = keys.filter((key) => key.kid === header.kid && (key.use ?? "sig") === "sig");
  const all = header.kid === undefined ? keys : candidates;
  const [key] = all;
  const usable = key !== undefined && all.length === 1 && header.alg === "RS256" && typeof claims.aud === "string";
  const late = claims.exp * 1000 <= context.nowMs();
  if (!usable || late || !(await isSignedBy(token.text, key, "RS256"))) {
    throw new ApiError(
      401,
      "Unauthenticated",
      "Could not verify OIDC token claim. Check that the token signature is valid and the token hasn't expired.",
    );
  }
  return sub;
}

/** The provider's keys. Its error statuses are passed on, everything else is 400. */
async function discover(iss: string): Promise<JWK[]> {
  const text = `Auth provider discovery of ${iss} failed`;
  const failed = new ApiError(400, "AuthProviderDiscoveryFailed", text);
  const answer = await fetch(`${bare(iss)}/.well-known/openid-configuration`).catch(() => {
    throw failed;
  });
  const body = await answer.text();
  if (!answer.ok) {
    const cause = `${answer.status} ${answer.statusText} ${body}`;
    throw new ApiError(answer.status, "AuthProviderDiscoveryFailed", `${text}: ${cause}`);
  }
  const document = parsed(body);
  const uri = document?.["jwks_uri"];
  if (document?.["issuer"] !== iss || typeof uri !== "string") throw failed;
  const jwks = await fetch(uri).then(
    (jwksAnswer) => jwksAnswer.text(),
    () => {
      throw failed;
    },
  );
  const keys = keysOf(jwks);
  if (keys === undefined) throw failed;
  return keys;
}

// ---------------------------------------------------------------- custom JWT

/** Returns the subject. */
async function verifyCustom(
  token: Token,
  provider: Extract<Provider, { type: string }>,
  context: TokenContext,
): Promise<string> {
  const { kid, alg } = token.header;
  if (typeof kid !== "string") throw invalid("Could not decode token. JWT may be missing a 'kid' (key ID) header.");
  const keys = await customKeys(provider.jwks);
  const key = keys.find((k) => k.kid === kid);
  if (key === undefined || alg !== provider.algorithm || !(await isSignedBy(token.text, key, provider.algorithm))) {
    throw invalid(
      `Could not decode token. The JWT's 'kid' (key ID) header is '${kid}', does this key match any key in the provider's JWKS?`,
    );
  }
  const { exp, sub, iat = 0, nbf = 0 } = token.claims;
  if (exp === undefined || sub === undefined) {
    throw invalid(
      "Could not verify token claim. Check that the JWT contains valid claims and matches your auth provider configuration.",
    );
  }
  const now = context.nowMs() / 1000;
  const [past, ahead] = [Math.floor(now - exp), Math.ceil(Math.max(iat, nbf) - now)];
  if (now >= exp) throw invalid(`Could not validate token: Token expired ${past} seconds ago`);
  if (ahead > 0) throw invalid(`Could not validate token: Token will be valid in ${ahead} seconds`);
  return sub;
}

async function customKeys(jwks: string): Promise<JWK[]> {
  const body = await fetch(jwks).then(
    (answer) => answer.text(),
    () => {
      const cause = `error sending request for url (${jwks}). Check that the URL is correct and accessible.`;
      throw invalid(`Could not fetch JWKS from URL '${jwks}': ${cause}`);
    },
  );
  const keys = keysOf(body);
  if (keys !== undefined) return keys;
  const why = "The response is not valid JSON or doesn't match the expected JWKS format.";
  throw invalid(`Invalid JWKS response body from '${jwks}'. ${why}`);
}

// ---------------------------------------------------------------- keys

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}

function keysOf(text: string): JWK[] | undefined {
  const keys = parsed(text)?.["keys"];
  return Array.isArray(keys) ? keys : undefined;
}

async function isSignedBy(text: string, key: JWK, algorithm: string): Promise<boolean> {
  try {
    await compactVerify(text, await importJWK(key, algorithm), { algorithms: [algorithm] });
    return true;
  } catch {
    return false;
  }
}

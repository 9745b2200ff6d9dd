/** `auth.config.js`: evaluated with the deployment's variables, checked as in contract 4.4. */
import type { IsolatePool } from "../runtime/isolate.ts";
import type { PackageSource } from "../runtime/protocol.ts";
import { ApiError } from "../types.ts";
import type { Provider } from "../users.ts";

export const AUTH_MODULE = "auth.config.js";
const EVALUATION_LIMIT_MS = 4000;

/** `prefix` goes in front of InvalidAuthConfig texts: a push and a change of variables say it differently. */
export async function evaluateAuthConfig(
  pool: IsolatePool,
  source: PackageSource,
  env: Readonly<Record<string, string>>,
  prefix: string,
): Promise<Provider[]> {
  const job = { do: "evaluate", as: "auth", module: AUTH_MODULE, graph: { packageId: source.id, env } } as const;
  const result = await pool.exclusive((isolate) => isolate.run(job, [source], {}, EVALUATION_LIMIT_MS));
  if (!result.ok) {
    const { missingVariable, text, frames, plain } = result.error;
    if (missingVariable !== undefined) {
      const problem = `Environment variable ${missingVariable} is used in auth config file but its value was not set`;
      throw new ApiError(400, "AuthConfigMissingEnvironmentVariable", `${problem}${frames}\n`);
    }
    throw invalid(prefix, plain ?? text);
  }
  const exported = result.value as { json: string } | { problem: string };
  if (!("json" in exported)) {
    throw invalid(
      prefix,
      "auth config file is missing default export. To learn more, see the auth documentation at https://docs.convex.dev/auth.",
    );
  }
  return readProviders(JSON.parse(exported.json), prefix);
}

function invalid(prefix: string, problem: string): ApiError {
  return new ApiError(400, "InvalidAuthConfig", `${prefix}${problem}`);
}

function readProviders(config: unknown, prefix: string): Provider[] {
  const list =
    typeof config === "object" && config !== null ? (config as { providers?: unknown }).providers : undefined;
  const about = "auth config file must include a list of provider credentials: ";
  if (!Array.isArray(list)) throw invalid(prefix, `${about}missing field \`providers\` `);
  const providers = list.map((entry: unknown) => readProvider(entry));
  const bad = providers.includes(undefined);
  if (bad) throw invalid(prefix, `${about}data did not match any variant of untagged enum SerializedAuthInfo `);
  const read = providers.filter((provider) => provider !== undefined);
  for (const provider of read) {
    if ("domain" in provider) checkDomain(provider.domain, prefix);
  }
  return read;
}

/** Keys in the order of `appAuth`. */
function readProvider(entry: unknown): Provider | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  const { type, domain, applicationID, issuer, jwks, algorithm } = entry as Record<string, unknown>;
  if (type === "customJwt") {
    if (typeof issuer !== "string" || typeof jwks !== "string") return undefined;
    if (algorithm !== "RS256" && algorithm !== "ES256") return undefined;
    if (applicationID !== undefined && typeof applicationID !== "string") return undefined;
    return { type: "customJwt", applicationID, issuer, jwks, algorithm };
  }
  if (typeof domain !== "string" || typeof applicationID !== "string") return undefined;
  return { applicationID, domain };
}

/** Without a scheme `https://` is meant; the texts are those of the backend's URL parser. */
function checkDomain(domain: string, prefix: string): void {
  const refuse = (why: string) => invalid(prefix, `Invalid provider domain URL "${domain}": ${why}`);
  if (domain === "") throw refuse("empty host");
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(domain)?.[1];
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") throw refuse("Only HTTP(S) URLs are supported");
  let host: string;
  try {
    host = new URL(scheme === undefined ? `https://${domain}` : domain).hostname;
  } catch {
    throw refuse("invalid international domain name");
  }
  if (
    scheme !== undefined ||
    host === "localhost" ||
    /^[\d.]+$/.test(host) ||
    /\.(com|org|net|dev|app|io|site|cloud|co|ai|xyz|[a-z]{2})$/.test(host)
  )
    return;
  throw refuse("Does not look like a URL (must have a scheme or end with a top-level domain)");
}

/** As in `start_push.appAuth`. */
export function appAuthJson(provider: Provider): unknown {
  if ("domain" in provider) return { applicationID: provider.applicationID, domain: provider.domain };
  const { applicationID = null, issuer, jwks, algorithm } = provider;
  return { type: "customJwt", applicationID, issuer, jwks, algorithm };
}

/** As in `authDiff`: sorted keys, the algorithm quoted twice. */
export function authDiffText(provider: Provider): string {
  if ("domain" in provider) return JSON.stringify({ applicationID: provider.applicationID, domain: provider.domain });
  const { applicationID = null, issuer, jwks, algorithm } = provider;
  return JSON.stringify({ algorithm: JSON.stringify(algorithm), applicationID, issuer, jwks, type: "customJwt" });
}

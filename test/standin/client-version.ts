/** The `Convex-Client` header (contract 3.1): old clients are refused, some warned. */
import { ApiError } from "./types.ts";

export interface Client {
  readonly name: string;
  readonly version: string;
}

export interface ClientCheck {
  readonly client?: Client;
  /** Deprecation headers of the answer. */
  readonly headers: Record<string, string>;
  readonly error?: ApiError;
}

const SEMVER = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** Last version that is refused, last one that is warned, and how to update. */
const RULES: Readonly<Record<string, { refused: string; warned?: string; how: string }>> = {
  npm: { refused: "0.19.1", how: "`npx convex update` or `npm update`" },
  "npm-cli": { refused: "0.19.1", how: "`npx convex update` or `npm update`" },
  python: { refused: "0.0.9", warned: "0.2.0", how: "`pip install --upgrade convex`" },
  rust: { refused: "0.0.1", how: "`cargo update -p convex` or by updating `Cargo.toml`" },
};

/** `npm-cli-1.48.0`: the longest semver from the right is the version, else what follows the first `-`. */
export function parseClient(text: string): Client | undefined {
  const dashes = [...text.matchAll(/-/g)].map((match) => match.index);
  const split = dashes.find((at) => SEMVER.test(text.slice(at + 1))) ?? dashes[0];
  return split === undefined ? undefined : { name: text.slice(0, split), version: text.slice(split + 1) };
}

export function checkClient(header: string | undefined): ClientCheck {
  if (header === undefined) return { headers: {} };
  const client = parseClient(header);
  if (client === undefined) {
    const rule = "Expected format is {client_name}-{semver}, e.g. my-esolang-client-0.0.1";
    const text = `Failed to parse client version string: '${header}'. ${rule}`;
    return { headers: {}, error: new ApiError(400, "InvalidClientVersion", text) };
  }
  const rule = RULES[client.name];
  if (rule === undefined) return { client, headers: {} };
  const what = `The Convex ${client.name} package at version ${client.version}`;
  const message = `${what} is no longer supported. Update your Convex ${client.name.replace("-cli", "")} version with ${rule.how}.`;
  if (!SEMVER.test(client.version) || atMost(client.version, rule.refused)) {
    const error = new ApiError(400, "ClientVersionUnsupported", message);
    return { client, headers: deprecation("Unsupported", message), error };
  }
  const warned = rule.warned !== undefined && atMost(client.version, rule.warned);
  return { client, headers: warned ? deprecation("UpgradeRequired", message) : {} };
}

function deprecation(state: string, message: string): Record<string, string> {
  return { "x-convex-deprecation-state": state, "x-convex-deprecation-message": message };
}

/** Whether a semver is at most another; prereleases count as their release. */
export function atMost(version: string, limit: string): boolean {
  const numbers = (text: string) => (text.split(/[-+]/)[0] ?? "").split(".").map(Number);
  const [a, b] = [numbers(version), numbers(limit)];
  for (const [i, n] of a.entries()) {
    const other = b[i] ?? 0;
    if (n !== other) return n < other;
  }
  return true;
}

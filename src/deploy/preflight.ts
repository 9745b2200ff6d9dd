import { keyPairDefect } from "../credentials/key-pair.ts";
import { checkInstance, checkKey, INSTANCE_HIDDEN } from "../deployment/access.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { type CodeScan, missingVariables } from "../deployment/env-reads.ts";
import { probeDialect, unfit } from "../deployment/push-probe.ts";
import { checkReach, errorFinding, type Finding, fromError } from "../deployment/reach.ts";
import { ActionError } from "../runner/errors.ts";
import type { Http } from "../system/http.ts";

/** All that only the deployment itself can tell before anything changes. At most one finding a cause. */
export async function checkDeployment(
  client: DeploymentClient,
  adminKey: string,
  cliVersion: string,
  http: Http,
): Promise<Finding[]> {
  const reach = await checkReach(http, client.url);
  // Without an API nothing else can be told; where only this path is closed, the others decide.
  if (reach !== undefined && reach.code !== "backend-route-missing") return [reach];
  const [instance, key, dialect] = await Promise.all([
    checkInstance(client, adminKey),
    checkKey(client),
    probeDialect(http, client.url),
  ]);
  const verdict = unfit(cliVersion, dialect);
  const found = [
    instance,
    key,
    verdict === undefined ? undefined : errorFinding(verdict.code, verdict.message, verdict.hint),
  ];
  const closed = found.some((one) => one?.code === "backend-route-missing");
  if (closed && dialect === "current") {
    // The API is there: a proxy that passes on /api alone hides what would tell whose it is.
    return found.flatMap((one) =>
      one === undefined ? [] : one.code === "backend-route-missing" ? [INSTANCE_HIDDEN] : [one],
    );
  }
  return [...new Map(found.filter((one) => one !== undefined).map((one) => [one.code, one])).values()];
}

/** What can be told of variables and code together. `effective` are the deployment's variables as they will be. */
export function checkVariablesOf(scan: CodeScan, effective: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  const known = new Set(effective.keys());
  const { error: auth, notice } = missingVariables({ ...scan, required: [] }, known);
  if (auth !== undefined) findings.push(fromError(auth));
  const required = scan.required.filter(({ name }) => !known.has(name));
  if (required.length > 0) {
    const places = required.map(({ name, file, line }) => `${name} (${file}:${line})`).join(", ");
    findings.push(
      errorFinding(
        "env-required",
        `convex.config.ts requires ${places}, and nothing sets them. Older backends deploy all the same, and the functions fail.`,
        "Set them by env, env-file or env-names.",
      ),
    );
  }
  if (notice !== undefined) {
    findings.push({ level: "notice", code: "env-unset", message: notice, hint: "Set them, or give them a default." });
  }
  return [...findings, ...checkKeyPair(effective)];
}

const PAIR_HINT = "Set both from one key pair: the public part of JWT_PRIVATE_KEY is what JWKS has to hold.";

function checkKeyPair(effective: ReadonlyMap<string, string>): Finding[] {
  const [key, jwks] = [effective.get("JWT_PRIVATE_KEY"), effective.get("JWKS")];
  if (key === undefined && jwks === undefined) return [];
  if (key === undefined || jwks === undefined) {
    const [present, absent] = key === undefined ? ["JWKS", "JWT_PRIVATE_KEY"] : ["JWT_PRIVATE_KEY", "JWKS"];
    // An app may verify another's tokens by JWKS alone.
    const level = key === undefined ? "warning" : "error";
    const message = `${present} is set and ${absent} is not, so sign-in cannot work.`;
    return [{ level, code: "auth-keys-incomplete", message, hint: PAIR_HINT }];
  }
  switch (keyPairDefect(key, jwks)) {
    case "key-unreadable":
      return [
        errorFinding("auth-keys-unreadable", "JWT_PRIVATE_KEY is no PKCS#8 PEM, so no token can be signed.", PAIR_HINT),
      ];
    case "jwks-unreadable":
      return [
        errorFinding("auth-keys-unreadable", 'JWKS is no JSON like {"keys":[…]}, so no token is accepted.', PAIR_HINT),
      ];
    case "mismatch":
      return [
        errorFinding(
          "auth-keys-mismatch",
          "JWT_PRIVATE_KEY and JWKS do not belong together, so the app's tokens are not accepted.",
          PAIR_HINT,
        ),
      ];
    case "ambiguous":
      return [
        errorFinding(
          "auth-keys-mismatch",
          "JWKS holds several keys, not all with a kid; the backend then accepts no token.",
          "Leave the one key of JWT_PRIVATE_KEY in JWKS.",
        ),
      ];
    default:
      return [];
  }
}

/** The preflight found errors; nothing was changed. The first one is the error, all are in `findings`. */
export class PreflightError extends ActionError {
  readonly findings: readonly Finding[];

  constructor(first: Finding, findings: readonly Finding[]) {
    super(first.code, first.message, first.hint);
    this.name = "PreflightError";
    this.findings = findings;
  }
}

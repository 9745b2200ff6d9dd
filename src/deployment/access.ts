import { parseAdminKey } from "../credentials/admin-key.ts";
import { ActionError } from "../runner/errors.ts";
import type { Http } from "../system/http.ts";
import { BackendError } from "./backend-error.ts";
import type { DeploymentClient } from "./client.ts";
import { checkReach, checkUrlForm, errorFinding, type Finding, fromError, shortened } from "./reach.ts";

/** Judges the form of the key: it is not trimmed by the CLI, which prints it when it has a line break inside (contract 5.1). */
export function checkKeyForm(key: string): Finding[] {
  try {
    parseAdminKey(key);
    return [];
  } catch (defect) {
    if (!(defect instanceof ActionError)) throw defect;
    return [errorFinding(defect.code, defect.message, defect.hint)];
  }
}

/** The name in the key is that of the instance it was made for (contract 2). */
export async function checkInstance(client: DeploymentClient, key: string): Promise<Finding | undefined> {
  try {
    // A key that is malformed has a finding of its own.
    const wanted = checkKeyForm(key).length === 0 ? parseAdminKey(key).instanceName : undefined;
    const name = (await client.instanceName()).trim();
    if (wanted === undefined || name === wanted) return undefined;
    return errorFinding(
      "instance-mismatch",
      `${client.url} is instance "${shortened(name)}", the admin key is for "${wanted}".`,
      "Check which of url and admin-key is the wrong one: they belong to different deployments. Beside INSTANCE_SECRET in connection give INSTANCE_NAME, where the backend has one.",
    );
  } catch (failure) {
    return fromError(failure);
  }
}

/** The key may write. One finding at most; none where the release cannot tell. */
export async function checkKey(client: DeploymentClient): Promise<Finding | undefined> {
  try {
    if ((await client.checkAdminKey()) === "full") return undefined;
    await client.proveWrite();
    return undefined;
  } catch (failure) {
    // Refused like a call without a key, while the same key in a body may write: the header did not arrive.
    if (failure instanceof BackendError && failure.backendCode === "BadDeployKey") {
      const written = await client.proveWrite().then(
        () => true,
        () => false,
      );
      if (written) {
        return errorFinding(
          "proxy-strips-authorization",
          `Something in front of ${client.url} takes the header Authorization away: the key is good in a body and missing in the header.`,
          "Let the proxy pass the header on (nginx: proxy_set_header Authorization $http_authorization; no login of its own at this host name).",
        );
      }
    }
    if (failure instanceof BackendError && failure.status === 404 && failure.backendCode === "") return undefined;
    return fromError(failure);
  }
}

/** Where a proxy passes on /api alone, what would tell whose backend it is stays hidden. */
export const INSTANCE_HIDDEN: Finding = {
  level: "warning",
  code: "instance-unknown",
  message: "The proxy hides /instance_name, so it cannot be told whether this is the deployment that the key is for.",
  hint: "Pass all paths of the host name on to the backend.",
};

/**
 * Whether a deployment can be worked on: it answers, is the one of the key, and takes the key. What only stands in the
 * way of knowing is a warning.
 */
export async function checkAccess(client: DeploymentClient, adminKey: string, http: Http): Promise<Finding[]> {
  const reach = await checkReach(http, client.url);
  if (reach !== undefined && reach.code !== "backend-route-missing") return [reach];
  const [instance, key] = await Promise.all([checkInstance(client, adminKey), checkKey(client)]);
  const found = [instance, key].filter((one) => one !== undefined);
  // The key was accepted, so the API is there.
  if (key === undefined && instance?.code === "backend-route-missing") return [INSTANCE_HIDDEN];
  return [...new Map(found.map((one) => [one.code, one])).values()];
}

/**
 * The origin that the input `url` means; what is wrong with the form of URL and key is added to `findings`.
 * @throws ActionError `url-invalid` when not even that can be told
 */
export function originOf(url: string, adminKey: string, findings: Finding[]): string {
  const form = checkUrlForm(url);
  const [first] = form.findings;
  if (form.origin === undefined && first !== undefined) throw new ActionError(first.code, first.message, first.hint);
  findings.push(...form.findings, ...checkKeyForm(adminKey));
  return form.origin ?? url;
}

import { parseAdminKey } from "../credentials/admin-key.ts";
import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { isMissing } from "../deployment/connection.ts";
import { asRecord } from "../deployment/json.ts";

/** What the backend makes of the key; `stripped`: the key is good, and the header that carries it does not arrive. */
export type KeyState = "admin" | "read-only" | "system" | "rejected" | "stripped" | "malformed";

export function hasKeyForm(key: string): boolean {
  try {
    parseAdminKey(key);
    return true;
  } catch {
    return false;
  }
}

const FOREIGN_HEADER = ["InvalidHeaderFailure", "InvalidAdminKey", "HeaderParseFailure"];

/** @throws BackendError for anything that tells nothing about the key */
export async function judgeKey(client: DeploymentClient): Promise<KeyState> {
  try {
    const answer = asRecord(await client.json("GET", "/api/check_admin_key"));
    return answer["isReadOnly"] === true ? "read-only" : "admin";
  } catch (failure) {
    if (!(failure instanceof BackendError)) throw failure;
    if (isMissing(failure)) return await judgeOnOldBackend(client);
    const { backendCode } = failure;
    if (backendCode === "BadAdminKey") return "rejected";
    if (backendCode === "ReadOnlyAdminKey" || backendCode === "OperationNotPermitted") return "read-only";
    // As if there were no key, or another one: the same key in a body tells which of the two it is (contract 3.1).
    if (backendCode === "BadDeployKey" || FOREIGN_HEADER.includes(backendCode)) return await judgeByBody(client);
    throw failure;
  }
}

async function judgeByBody(client: DeploymentClient): Promise<KeyState> {
  try {
    await client.moduleHashes();
    await client.proveWrite();
    return "stripped";
  } catch (failure) {
    if (!(failure instanceof BackendError)) throw failure;
    if (failure.backendCode === "BadAdminKey") return "rejected";
    if (failure.backendCode === "BadDeployKey") return "system";
    if (failure.status === 403) return "stripped"; // A read-only key, whose header did not arrive either.
    throw failure;
  }
}

/** Before 2025-03-18 nothing tells what a key may do; a system query tells whether the header arrives. */
async function judgeOnOldBackend(client: DeploymentClient): Promise<KeyState> {
  try {
    await client.moduleHashes();
  } catch (failure) {
    if (failure instanceof BackendError && failure.backendCode === "BadAdminKey") return "rejected";
    throw failure;
  }
  const answer = await client.call("query", "_system/cli/queryEnvironmentVariables", {});
  return answer.ok || !answer.message.includes("not permitted") ? "admin" : "stripped";
}

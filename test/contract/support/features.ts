/**
 * What a backend newer than M14 does differently (contract 11), found out by asking: no version is exposed over HTTP.
 * A case that holds only since or until a change says so in its title and looks here.
 */
import type { Backend } from "./backend.ts";
import { at } from "./http.ts";

export interface Features {
  /** Read-only keys are judged per operation (`OperationNotPermitted`); M14 says `ReadOnlyAdminKey`. */
  readonly operationPermissions: boolean;
  /** Names up to 256 bytes, at most 512 variables (since 2026-05/06); M14: 40 and 1000. */
  readonly longEnvNames: boolean;
  /** `evaluate_schema` exists: 3.0 of the CLI's calls is answered instead of 404. */
  readonly evaluateSchema: boolean;
}

export async function probe(backend: Backend): Promise<Features> {
  const check = await backend.get("/api/check_admin_key");
  const name = "P".repeat(41);
  const long = await backend.setEnv({ [name]: null });
  const schema = await backend.post("/api/deploy2/evaluate_schema", {});
  return {
    operationPermissions: at(check.json, "isReadOnly") !== undefined,
    longEnvNames: long.status === 200,
    evaluateSchema: schema.status !== 404,
  };
}

/** The codes of a read-only key on a write: M14's, and that of later releases. */
export const readOnlyCodes = ["ReadOnlyAdminKey", "OperationNotPermitted"];

import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";

/** The inputs of the doctor action, each read and checked by itself. */
export interface DoctorInputs {
  /** As written; its form is judged by a check. */
  readonly url: string;
  readonly adminKey: string;
  readonly siteUrl: string | undefined;
  readonly dashboardUrl: string | undefined;
  readonly workingDirectory: string | undefined;
  readonly caFile: string | undefined;
  readonly failOn: "error" | "warning" | "never";
}

type Env = Readonly<Record<string, string | undefined>>;

function missing(name: string, variable: string, hint: string): ActionError {
  return new ActionError("input-missing", `${name} is not set, and neither is the variable ${variable}.`, hint);
}

/**
 * Reads all inputs; the key is masked on the way. URL and key may come from the CLI's own variables instead.
 * @throws ActionError `input-missing`, `input-invalid`, `input-too-large`, `secret-too-short`
 */
export function readDoctorInputs(read: ReadInput, env: Env): DoctorInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const adminKey = inputs.secret("admin-key", env["CONVEX_SELF_HOSTED_ADMIN_KEY"])?.trim();
  const url = inputs.optional("url") ?? (env["CONVEX_SELF_HOSTED_URL"]?.trim() || undefined);
  const rest = {
    siteUrl: inputs.origin("site-url"),
    dashboardUrl: inputs.origin("dashboard-url"),
    workingDirectory: inputs.optional("working-directory"),
    caFile: inputs.optional("ca-file"),
    failOn: inputs.choice("fail-on", ["error", "warning", "never"], "error"),
  };
  if (url === undefined) {
    throw missing(
      "url",
      "CONVEX_SELF_HOSTED_URL",
      "Set url: to the URL of the deployment's API, for example from vars.CONVEX_URL.",
    );
  }
  if (adminKey === undefined) {
    throw missing(
      "admin-key",
      "CONVEX_SELF_HOSTED_ADMIN_KEY",
      "Set admin-key: from a secret. Runs of forks and Dependabot get no secrets: skip this step there.",
    );
  }
  return { url, adminKey, ...rest };
}

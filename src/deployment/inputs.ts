import { ActionError } from "../runner/errors.ts";
import type { Inputs } from "../runner/inputs.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** Which deployment an action works on, by its inputs or the CLI's own variables, which the root action sets. */
export interface DeploymentNamed {
  /** As written; its form is judged with the deployment. */
  readonly url: string | undefined;
  readonly adminKey: string | undefined;
}

/** Reads `admin-key`, which is masked, and `url`. To be read first: no error may come before secrets are masked. */
export function readDeployment(inputs: Inputs, env: Env): DeploymentNamed {
  const adminKey = inputs.secret("admin-key", env["CONVEX_SELF_HOSTED_ADMIN_KEY"])?.trim() || undefined;
  const url = inputs.optional("url") ?? (env["CONVEX_SELF_HOSTED_URL"]?.trim() || undefined);
  return { url, adminKey };
}

function missing(name: string, variable: string, hint: string): ActionError {
  return new ActionError("input-missing", `${name} is not set, and neither is the variable ${variable}.`, hint);
}

/** @throws ActionError `input-missing` */
export function requireDeployment({ url, adminKey }: DeploymentNamed): { url: string; adminKey: string } {
  if (url === undefined) {
    throw missing(
      "url",
      "CONVEX_SELF_HOSTED_URL",
      "Set url: to the URL of the deployment's API, for example from vars.CONVEX_URL; after the root action it is found by itself.",
    );
  }
  if (adminKey === undefined) {
    throw missing(
      "admin-key",
      "CONVEX_SELF_HOSTED_ADMIN_KEY",
      "Set admin-key: from a secret. Runs of forks and Dependabot get no secrets: skip this step there.",
    );
  }
  return { url, adminKey };
}

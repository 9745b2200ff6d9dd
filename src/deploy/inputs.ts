import { sameAddress } from "../deployment/connection-lines.ts";
import { type Env, readDeployment, requireDeployment } from "../deployment/inputs.ts";
import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { checkPatterns } from "./env-plan.ts";

/** The inputs of the deploy action, each read and checked by itself. */
export interface DeployInputs {
  /** As written; `preflight.ts` judges its form. */
  readonly url: string;
  readonly adminKey: string;
  /** What a backup was made of before, in a job that may have had another environment. */
  readonly backupUrl: string | undefined;
  readonly workingDirectory: string;
  readonly env: string;
  /** In dotenv form, like `env`; its values are secrets. */
  readonly envSecrets: string;
  readonly envFiles: readonly string[];
  readonly envNames: readonly string[];
  readonly envPrune: boolean;
  readonly envKeep: readonly string[];
  readonly preflight: "error" | "warn" | "off";
  readonly dryRun: boolean;
  readonly allowIndexDeletion: boolean;
  readonly run: readonly string[];
  readonly smoke: readonly string[];
  readonly typecheck: "enable" | "try" | "disable";
  readonly codegen: "enable" | "disable";
  readonly comment: boolean;
  readonly githubToken: string | undefined;
  readonly showDocuments: boolean;
}

/**
 * Reads all inputs; secrets are masked on the way. URL and key may come from the CLI's own variables instead.
 * @throws ActionError `input-missing`, `input-invalid`, `input-too-large`, `secret-too-short`
 */
export function readDeployInputs(read: ReadInput, env: Env): DeployInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const deployment = readDeployment(inputs, env);
  const githubToken = inputs.secret("github-token")?.trim();
  const envSecrets = inputs.secret("env-secrets") ?? "";
  return {
    ...requireDeployment(deployment),
    githubToken,
    backupUrl: inputs.optional("backup-url"),
    workingDirectory: inputs.optional("working-directory") ?? ".",
    env: inputs.raw("env"),
    envSecrets,
    envFiles: inputs.lines("env-file"),
    envNames: inputs.words("env-names"),
    envPrune: inputs.boolean("env-prune", false),
    envKeep: inputs.words("env-keep"),
    preflight: inputs.choice("preflight", ["error", "warn", "off"], "error"),
    dryRun: inputs.boolean("dry-run", false),
    allowIndexDeletion: inputs.boolean("allow-index-deletion", false),
    run: inputs.lines("run"),
    smoke: inputs.lines("smoke"),
    typecheck: inputs.choice("typecheck", ["enable", "try", "disable"], "try"),
    codegen: inputs.choice("codegen", ["enable", "disable"], "enable"),
    comment: inputs.boolean("comment", true),
    showDocuments: inputs.boolean("show-documents", false),
  };
}

/**
 * Judges how inputs go together, before anything is called. Pure.
 * @throws ActionError `input-conflict`, `input-invalid`
 */
export function checkDeployInputs(inputs: DeployInputs): void {
  const { url, backupUrl } = inputs;
  if (backupUrl !== undefined && !sameAddress(url, backupUrl)) {
    throw new ActionError(
      "input-conflict",
      `The backup is of ${backupUrl}, and the deploy would go to ${url}.`,
      "Name the same deployment in the environments of both jobs (CONVEX_CONNECTION or CONVEX_URL), or give the input url.",
    );
  }
  if (inputs.envKeep.length > 0 && !inputs.envPrune) {
    throw new ActionError(
      "input-conflict",
      "env-keep is set, but env-prune is not, so nothing would be removed anyway.",
      "Set env-prune: true, or leave env-keep out.",
    );
  }
  const texts = inputs.env.trim() + inputs.envSecrets.trim();
  const nothingListed = texts === "" && inputs.envFiles.length === 0 && inputs.envNames.length === 0;
  if (inputs.envPrune && nothingListed) {
    throw new ActionError(
      "input-conflict",
      "env-prune is true, but no variables are listed, so all of the deployment's would be removed.",
      "List the variables in env, env-file, env-secrets or env-names, or leave env-prune out.",
    );
  }
  checkPatterns(inputs.envKeep);
}

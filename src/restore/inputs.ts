import { type Env, readDeployment, requireDeployment } from "../deployment/inputs.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import {
  type Destination,
  parseDestination,
  readDestination,
  readS3Inputs,
  type S3Inputs,
} from "../store/destination.ts";

/** The inputs of the restore action, each read and checked by itself; `rules.ts` judges how they go together. */
export interface RestoreInputs extends S3Inputs {
  readonly source: Destination;
  /** `latest`, or the id of one backup. */
  readonly backupId: string;
  /** Content of an age key file. */
  readonly identity: string | undefined;
  /** As written; its form is judged together with the target. */
  readonly url: string;
  readonly adminKey: string;
  readonly confirm: string | undefined;
  /** Undefined: not given, which is enough for an empty target only. */
  readonly safetyBackup: Destination | "off" | undefined;
  readonly recipients: readonly string[];
  readonly restoreEnv: boolean;
  readonly verify: "full" | "counts";
  readonly checks: readonly string[];
  readonly maxRtoMs: number | undefined;
  readonly maxRpoMs: number | undefined;
  readonly importTimeoutMs: number;
  readonly exportTimeoutMs: number;
  readonly showDocuments: boolean;
  readonly githubToken: string | undefined;
}

function readSafetyBackup(inputs: Inputs, workspace: string): Destination | "off" | undefined {
  const text = inputs.optional("safety-backup");
  if (text === undefined || text === "off") return text;
  // YAML reads a bare `off` as it stands, but some tools that write YAML make it `false`.
  return text === "false" ? "off" : parseDestination("safety-backup", text, workspace);
}

/**
 * Reads all inputs; secrets are masked on the way. URL and key may come from the CLI's own variables instead, which the
 * root action sets: a drill needs neither input.
 * @throws ActionError `input-missing`, `input-invalid`, `input-too-large`, `secret-too-short`
 */
export function readRestoreInputs(read: ReadInput, env: Env, workspace: string): RestoreInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const identity = inputs.secret("identity");
  const deployment = readDeployment(inputs, env);
  const githubToken = inputs.secret("github-token")?.trim();
  const limit = (name: string): number | undefined =>
    inputs.optional(name) === undefined ? undefined : inputs.age(name, 0);
  return {
    source: readDestination(inputs, "source", workspace),
    identity,
    ...requireDeployment(deployment),
    backupId: inputs.optional("backup-id") ?? "latest",
    confirm: inputs.optional("confirm"),
    safetyBackup: readSafetyBackup(inputs, workspace),
    recipients: inputs.lines("recipients"),
    restoreEnv: inputs.boolean("restore-env", false),
    verify: inputs.choice("verify", ["full", "counts"], "full"),
    checks: inputs.lines("checks"),
    maxRtoMs: limit("max-rto"),
    maxRpoMs: limit("max-rpo"),
    importTimeoutMs: inputs.duration("import-timeout", 1_800_000),
    exportTimeoutMs: inputs.duration("export-timeout", 1_800_000),
    showDocuments: inputs.boolean("show-documents", false),
    githubToken,
    ...readS3Inputs(inputs),
  };
}

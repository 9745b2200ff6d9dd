import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { type Destination, parseDestination, readS3Inputs, type S3Inputs } from "../store/destination.ts";

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

type Env = Readonly<Record<string, string | undefined>>;

const MISSING: Readonly<Record<string, string>> = {
  source: "Set source: to where the backups are: s3://bucket/prefix, dir:path or artifact.",
  url: "Set url: to the URL of the deployment's API, for example from vars.CONVEX_URL; after the root action it is found by itself.",
  "admin-key": "Set admin-key: from a secret. Runs of forks and Dependabot get no secrets: skip this step there.",
};

/** @throws ActionError `input-missing` */
export function required(name: string, value: string | undefined, variable?: string): string {
  if (value !== undefined && value !== "") return value;
  const also = variable === undefined ? "" : `, and neither is the variable ${variable}`;
  throw new ActionError("input-missing", `${name} is not set${also}.`, MISSING[name] ?? `Set ${name}.`);
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
  const adminKey = inputs.secret("admin-key", env["CONVEX_SELF_HOSTED_ADMIN_KEY"])?.trim();
  const githubToken = inputs.secret("github-token")?.trim();
  const url = inputs.optional("url") ?? env["CONVEX_SELF_HOSTED_URL"]?.trim();
  const limit = (name: string): number | undefined =>
    inputs.optional(name) === undefined ? undefined : inputs.duration(name, 0);
  return {
    source: parseDestination("source", required("source", inputs.optional("source")), workspace),
    identity,
    url: required("url", url, "CONVEX_SELF_HOSTED_URL"),
    adminKey: required("admin-key", adminKey, "CONVEX_SELF_HOSTED_ADMIN_KEY"),
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

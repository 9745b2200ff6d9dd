import { readHeartbeatUrl } from "../backup/heartbeat.ts";
import { type DeploymentNamed, type Env, readDeployment, requireDeployment } from "../deployment/inputs.ts";
import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { mask } from "../runner/mask.ts";
import { checkStoreSettings, parseDestination, readS3Inputs, type StoreSettings } from "../store/destination.ts";

/** What is examined: a running deployment. */
export interface DeploymentInputs {
  /** As written; its form is judged by a check. */
  readonly url: string;
  readonly adminKey: string;
  readonly siteUrl: string | undefined;
  readonly dashboardUrl: string | undefined;
  readonly workingDirectory: string | undefined;
  readonly caFile: string | undefined;
}

/** What is examined: the backups of a deployment. */
export interface BackupsInputs {
  readonly store: StoreSettings;
  readonly githubToken: string | undefined;
  readonly maxAgeMs: number;
}

/** The inputs of the doctor action, each read and checked by itself. At least one of the two things is there. */
export interface DoctorInputs {
  readonly deployment: DeploymentInputs | undefined;
  readonly backups: BackupsInputs | undefined;
  readonly failOn: "error" | "warning" | "never";
  /** Told that the run began, and how it ended. */
  readonly heartbeatUrl: URL | undefined;
}

/** A daily backup, and two hours for a late runner. */
const MAX_AGE_MS = 26 * 3_600_000;

function readExamined(inputs: Inputs, named: DeploymentNamed, alone: boolean): DeploymentInputs | undefined {
  const rest = {
    siteUrl: inputs.origin("site-url"),
    dashboardUrl: inputs.origin("dashboard-url"),
    workingDirectory: inputs.optional("working-directory"),
    caFile: inputs.optional("ca-file"),
  };
  if (Object.values(named).every((one) => one === undefined) && alone) {
    const [unused] = Object.entries({ "site-url": rest.siteUrl, "dashboard-url": rest.dashboardUrl })
      .filter(([, value]) => value !== undefined)
      .map(([name]) => name);
    if (unused === undefined) return undefined;
    throw new ActionError(
      "input-conflict",
      `${unused} is set, but url is not: with backups alone no deployment is looked at.`,
      `Set connection:, or url: and admin-key:, as well, or leave ${unused} out.`,
    );
  }
  return { ...requireDeployment(named), ...rest };
}

function readBackups(inputs: Inputs, githubToken: string | undefined, env: Env): BackupsInputs | undefined {
  const backups = inputs.optional("backups");
  const s3 = readS3Inputs(inputs);
  const maxAgeMs = inputs.age("max-backup-age", MAX_AGE_MS);
  if (backups === undefined) {
    // max-backup-age has a default, so it cannot be told whether somebody set it.
    if (s3.endpoint === undefined && s3.region === undefined) return undefined;
    throw new ActionError(
      "input-conflict",
      `${s3.endpoint === undefined ? "s3-region" : "s3-endpoint"} is set, but backups is not, so no backup would be looked at.`,
      "Set backups: to where they are stored, or leave it out.",
    );
  }
  const store = { destination: parseDestination("backups", backups, env["GITHUB_WORKSPACE"] ?? process.cwd()), ...s3 };
  checkStoreSettings(store, "backups");
  return { store, githubToken, maxAgeMs };
}

/**
 * Reads all inputs; secrets are masked on the way. URL and key may come from the CLI's own variables instead; with
 * `backups` and without both, only the backups are examined.
 * @throws ActionError `input-missing`, `input-invalid`, `input-conflict`, `input-too-large`, `secret-too-short`
 */
export function readDoctorInputs(read: ReadInput, env: Env): DoctorInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const named = readDeployment(inputs, env);
  const githubToken = inputs.secret("github-token")?.trim();
  const heartbeatUrl = readHeartbeatUrl(inputs, mask);
  const backups = readBackups(inputs, githubToken, env);
  return {
    deployment: readExamined(inputs, named, backups !== undefined),
    backups,
    failOn: inputs.choice("fail-on", ["error", "warning", "never"], "error"),
    heartbeatUrl,
  };
}

import { parseVersion } from "../backend/version.ts";
import { type Env, readDeployment, requireDeployment } from "../deployment/inputs.ts";
import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { mask } from "../runner/mask.ts";
import { parseRecipients } from "../snapshot/encrypt.ts";
import { readDestination, readLockDays, readS3Inputs, type StoreSettings } from "../store/destination.ts";
import { readHeartbeatUrl } from "./heartbeat.ts";
import type { RetentionRule } from "./retention.ts";

/** The inputs of the backup action, each read and checked by itself. */
export interface BackupInputs {
  /** As written; its form is judged with the deployment. */
  readonly url: string;
  readonly adminKey: string;
  readonly githubToken: string | undefined;
  readonly heartbeatUrl: URL | undefined;
  readonly includeFileStorage: boolean;
  readonly encryption: "age" | "none";
  readonly recipients: readonly string[];
  readonly includeEnv: boolean;
  readonly store: StoreSettings;
  readonly lockDays: number | undefined;
  readonly keep: RetentionRule;
  readonly prune: "apply" | "dry-run" | "off";
  readonly backendVersion: string | undefined;
  readonly commit: string | undefined;
  readonly exportTimeoutMs: number;
}

const HOUR_MS = 3_600_000;

function readKeep(inputs: Inputs): RetentionRule {
  const count = (kind: string): number => inputs.integer(`keep-${kind}`, { least: 0, most: 10_000 }, 0);
  return {
    last: count("last"),
    daily: count("daily"),
    weekly: count("weekly"),
    monthly: count("monthly"),
    yearly: count("yearly"),
  };
}

/** A release, commit or digest; which of them is told by its form. */
function readBackendVersion(inputs: Inputs): string | undefined {
  const text = inputs.optional("backend-version");
  if (text === undefined) return undefined;
  try {
    const version = parseVersion(text);
    return version.kind === "release" ? version.name : text;
  } catch (error) {
    throw new ActionError(
      "input-invalid",
      `backend-version: ${JSON.stringify(text)} is not accepted.`,
      "Allowed: a release (2026-09-28-5c7cb5b), a full commit (40 hex digits) or an image digest (sha256:…); leave it out where you do not know it.",
      { cause: error },
    );
  }
}

function readCommit(inputs: Inputs): string | undefined {
  const text = inputs.optional("commit");
  if (text === undefined || /^[0-9a-f]{7,64}$/.test(text)) return text;
  throw new ActionError(
    "input-invalid",
    `commit: ${JSON.stringify(text)} is not accepted.`,
    "Allowed: a commit's hash, 7 hex digits or more.",
  );
}

/**
 * Reads all inputs; secrets are masked on the way. URL and key may come from the CLI's own variables instead.
 * @throws ActionError `input-missing`, `input-invalid`, `input-conflict`, `input-too-large`, `secret-too-short`,
 * `recipient-invalid`
 */
export function readBackupInputs(read: ReadInput, env: Env): BackupInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const deployment = readDeployment(inputs, env);
  const githubToken = inputs.secret("github-token")?.trim();
  const heartbeatUrl = readHeartbeatUrl(inputs, mask);
  const destination = readDestination(inputs, "destination", env["GITHUB_WORKSPACE"] ?? process.cwd());
  const rest = {
    githubToken,
    heartbeatUrl,
    includeFileStorage: inputs.boolean("include-file-storage", true),
    encryption: inputs.choice("encryption", ["age", "none"], "age"),
    recipients: parseRecipients(inputs.lines("recipients")),
    includeEnv: inputs.boolean("include-env", false),
    store: { destination, ...readS3Inputs(inputs) },
    lockDays: readLockDays(inputs, destination),
    keep: readKeep(inputs),
    prune: inputs.choice("prune", ["apply", "dry-run", "off"], "apply"),
    backendVersion: readBackendVersion(inputs),
    commit: readCommit(inputs),
    exportTimeoutMs: inputs.duration("export-timeout", HOUR_MS),
  };
  return { ...requireDeployment(deployment), ...rest };
}

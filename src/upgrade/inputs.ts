import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { readStartInputs, type StartInputs } from "../start/inputs.ts";
import { type Destination, readDestination, readS3Inputs, type S3Inputs } from "../store/destination.ts";

/** What the two releases of a rehearsal are started and deployed to with, as the root action has it. */
const SHARED: ReadonlySet<string> = new Set([
  "runtime",
  "image",
  "pull",
  "require-digest",
  "releases-url",
  "releases-token",
  "backend-env",
  "env",
  "env-file",
  "env-secrets",
  "env-names",
  "auth",
  "jwt-private-key",
  "app-url",
  "deploy",
  "working-directory",
  "typecheck",
  "codegen",
  "ready-timeout",
  "show-documents",
]);

/** A rehearsal is nobody's backend: any free ports, and no function of production runs in it unasked. */
const FIXED: Readonly<Record<string, string>> = { port: "0", "site-port": "0", paused: "true", "export-env": "false" };

/** The inputs of the upgrade action, each read and checked by itself. */
export interface UpgradeInputs extends S3Inputs {
  /** The release that runs now, and the one that is to follow it. */
  readonly from: StartInputs;
  readonly to: StartInputs;
  readonly source: Destination;
  readonly backupId: string;
  readonly identity: string | undefined;
  readonly checks: readonly string[];
  readonly migrationTimeoutMs: number;
  readonly importTimeoutMs: number;
  readonly exportTimeoutMs: number;
  readonly githubToken: string | undefined;
}

function startInputs(read: ReadInput, version: string, binaryPath: string): StartInputs {
  return readStartInputs((name) => {
    if (name === "version") return read(version);
    if (name === "binary-path") return read(binaryPath);
    return FIXED[name] ?? (SHARED.has(name) ? read(name) : "");
  });
}

/**
 * Reads all inputs; secrets are masked on the way.
 * @throws ActionError `input-missing`, `input-invalid`, `input-too-large`, `secret-too-short`
 */
export function readUpgradeInputs(read: ReadInput, workspace: string): UpgradeInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const identity = inputs.secret("identity");
  const githubToken = inputs.secret("github-token")?.trim();
  const from = startInputs(read, "from", "from-binary-path");
  const to = startInputs(read, "to", "to-binary-path");
  const source = readDestination(inputs, "source", workspace);
  return {
    from,
    to,
    identity,
    githubToken,
    source,
    backupId: inputs.optional("backup-id") ?? "latest",
    checks: inputs.lines("checks"),
    migrationTimeoutMs: inputs.duration("migration-timeout", 600_000),
    importTimeoutMs: inputs.duration("import-timeout", 1_800_000),
    exportTimeoutMs: inputs.duration("export-timeout", 1_800_000),
    ...readS3Inputs(inputs),
  };
}

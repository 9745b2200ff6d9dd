import { type BucketFinding, checkBuckets } from "../backend/s3-check.ts";
import { isUnknownName, placeOf } from "../backend/s3-faults.ts";
import { readS3Settings, type S3Settings } from "../backend/s3-settings.ts";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { HOST_ALIAS, isLoopback } from "./database.ts";

/**
 * Reads what `backend-env` says of S3 storage, with its secrets masked; contacts nothing.
 * @throws ActionError `s3-settings-invalid`
 */
export function checkS3Settings(backendEnv: Readonly<Record<string, string>>, deps: Deps): S3Settings | undefined {
  for (const name of ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]) {
    const secret = backendEnv[name] ?? "";
    if (secret !== "") deps.log.mask(secret);
  }
  return readS3Settings(backendEnv);
}

/** @throws ActionError `s3-settings-invalid` for an endpoint that means something else in the backend's container */
function checkPlace(settings: S3Settings): void {
  const host = settings.endpoint?.hostname ?? "";
  if (isLoopback(host)) {
    throw new ActionError(
      "s3-settings-invalid",
      `S3_ENDPOINT_URL in backend-env names ${host}, which is the backend's own container there, not this machine.`,
      `Name the host ${HOST_ALIAS}; the store must listen on more than 127.0.0.1. runtime: binary reaches ${host}.`,
    );
  }
  if (host === HOST_ALIAS && !settings.pathStyle) {
    throw new ActionError(
      "s3-settings-invalid",
      `S3_ENDPOINT_URL in backend-env names ${HOST_ALIAS}, and without AWS_S3_FORCE_PATH_STYLE=true the backend would ask for <bucket>.${HOST_ALIAS}, a name that nobody knows.`,
      "Add AWS_S3_FORCE_PATH_STYLE=true to backend-env.",
    );
  }
}

/**
 * Makes sure that the backend will be able to use its buckets.
 * @param signal ends the check, which then cleans up and says nothing
 * @throws ActionError with the code of the first bucket that does not do
 */
export async function readyBuckets(
  settings: S3Settings,
  instanceName: string,
  runtime: "docker" | "binary",
  signal: AbortSignal,
  deps: Deps,
): Promise<void> {
  if (runtime === "docker") checkPlace(settings);
  if (settings.keys === undefined) {
    deps.log.warning(
      "The buckets of S3 storage were not checked: backend-env holds no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and keys that the backend finds by itself are out of this step's sight.",
    );
    return;
  }
  const { endpoint } = settings;
  const local = endpoint?.hostname === HOST_ALIAS ? new URL(endpoint) : undefined;
  if (local !== undefined) local.hostname = "127.0.0.1";
  const findings = await checkBuckets(settings, { instanceName, endpoint: local, signal });
  if (signal.aborted) return;
  // A name of the containers' network means nothing here.
  const elsewhere = runtime === "docker" && endpoint !== undefined && !endpoint.hostname.includes(".");
  const [first] = findings;
  if (elsewhere && first !== undefined && isUnknownName(first.cause)) {
    deps.log.warning(
      `The buckets of S3 storage were not checked: this job does not know the host ${endpoint.hostname}.`,
    );
    return;
  }
  report(findings, settings, deps);
}

/** @throws ActionError for errors, all of them in one */
function report(findings: readonly BucketFinding[], settings: S3Settings, deps: Deps): void {
  for (const { level, bucket, fault } of findings) {
    if (level === "warning") deps.log.warning(`${named([bucket])}: ${fault.what}. → ${fault.hint}`);
  }
  const errors = findings.filter(({ level }) => level === "error");
  const [first] = errors;
  const count = settings.buckets.length;
  if (first === undefined) {
    deps.log.info(`Checked ${count === 1 ? "the bucket" : `${count} buckets`} at ${placeOf(settings)} by an upload.`);
    return;
  }
  const causes = [...new Set(errors.map(({ fault }) => fault.what))];
  const sentences = causes.map((what) => {
    const buckets = errors.filter(({ fault }) => fault.what === what).map(({ bucket }) => bucket);
    return `${named(buckets)}: ${what}.`;
  });
  const hints = [...new Set(errors.map(({ fault }) => fault.hint))];
  throw new ActionError(first.fault.code, sentences.join(" "), hints.join(" "), { cause: first.cause });
}

function named(buckets: readonly BucketFinding["bucket"][]): string {
  const each = buckets.map(({ name, variables }) => `"${name}" (${variables.join(", ")})`);
  return `${each.length === 1 ? "Bucket" : "Buckets"} ${each.join(", ")}`;
}

/** Does `work` beside a check; whichever fails ends the other one. */
export async function whileChecking<T>(
  check: ((signal: AbortSignal) => Promise<void>) | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (check === undefined) return await work();
  const over = new AbortController();
  const checked = check(over.signal);
  try {
    const [result] = await Promise.all([work(), checked]);
    return result;
  } finally {
    over.abort();
    // It takes away what it has stored so far.
    await checked.catch(() => undefined);
  }
}

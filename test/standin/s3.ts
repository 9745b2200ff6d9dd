/** What a start with `--s3-storage` looks at (contract 1.9): variables and the prefix; never the store itself. */
import { randomUUID } from "node:crypto";
import { StartError } from "./database.ts";

/** Buckets in the order in which they are asked for; the AWS variables come after the first. */
const BUCKETS = ["FILES", "MODULES", "SEARCH", "EXPORTS", "SNAPSHOT_IMPORTS"];

/** @throws StartError naming the first variable that is missing; empty ones pass */
export function checkS3Variables(env: NodeJS.ProcessEnv): void {
  for (const [i, bucket] of BUCKETS.entries()) {
    const name = `S3_STORAGE_${bucket}_BUCKET`;
    if (env[name] === undefined) {
      throw new StartError(`${name} env variable is required when using S3 storage`, "environment variable not found");
    }
    if (i === 0) checkCredentials(env);
  }
}

function checkCredentials(env: NodeJS.ProcessEnv): void {
  const text = "AWS env variables are required when using S3 storage";
  if (env["AWS_REGION"] === undefined) throw new StartError(text, "AWS_REGION env variable must be set");
  const keys = (env["AWS_ACCESS_KEY_ID"] ?? "") !== "" && env["AWS_SECRET_ACCESS_KEY"] !== undefined;
  if (!keys && env["AWS_SHARED_CREDENTIALS_FILE"] === undefined) {
    throw new StartError(text, "No AWS credentials were found by the default provider chain.");
  }
}

/**
 * The key prefix of a database: chosen at its first start, and tied to the instance name in so far as it begins with it.
 * @throws StartError
 */
export function prefixOf(instanceName: string, before: string | undefined): string {
  if (before === undefined) return `${instanceName}-${randomUUID()}/`;
  if (before.startsWith(`${instanceName}-`)) return before;
  throw new StartError(`Cannot use s3 storage path ${before} with ${instanceName}`);
}

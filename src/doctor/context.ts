import type { DeploymentClient } from "../deployment/client.ts";
import type { Http } from "../system/http.ts";
import type { Facts } from "./facts.ts";
import type { Verdict } from "./finding.ts";

/** What every check gets. */
export interface Context {
  /** As the input has it; `url` is the origin that is meant. */
  readonly writtenUrl: string;
  readonly url: string;
  readonly adminKey: string;
  readonly siteUrl: string | undefined;
  readonly dashboardUrl: string | undefined;
  /** Where the project with the CLI is; undefined when the input is not set. */
  readonly workingDirectory: string | undefined;
  /** Where the job runs; looked at for a project when no directory was named. */
  readonly currentDirectory: string;
  /** PEM of the authorities of `ca-file`. */
  readonly ca: string | undefined;
  /** Trusts `ca` too, and waits five seconds at most. The admin key is sent by `client` alone, and so to `url` alone. */
  readonly http: Http;
  readonly client: DeploymentClient;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly facts: Facts;
}

export interface Check {
  /** Kebab-case, stable, a heading of docs/doctor.md. */
  readonly id: string;
  /** An empty list when there is nothing to check. @throws NotChecked */
  run(context: Context): Promise<readonly Verdict[]>;
}

/** Addresses that only the machine itself reaches. */
export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

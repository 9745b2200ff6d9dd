import type { Changes } from "../deploy/changes.ts";
import type { Applied } from "./target.ts";

/** What there is to tell about an `up`, as far as it got. */
export interface UpReport {
  readonly name?: string;
  readonly number?: number;
  readonly where?: string;
  readonly outcome?: Applied["outcome"];
  readonly url?: string;
  readonly siteUrl?: string;
  readonly dashboardUrl?: string;
  readonly commit?: string;
  readonly release?: string;
  readonly imageDigest?: string;
  readonly readyMs?: number;
  readonly variables?: readonly string[];
  /** Those that the workflow does not list any more. */
  readonly variablesRemoved?: readonly string[];
  /** Those that it does not list and the code reads, with the places. */
  readonly variablesRead?: string;
  /** Those that the backend did not let go. */
  readonly variablesRefused?: readonly string[];
  readonly deployed?: string;
  /** What the push changed against what was there, see `changesIn`; undefined when nobody compared. */
  readonly changes?: Changes;
  /** The commit of the last whole `up` before this one. */
  readonly after?: string;
  readonly imported?: string;
  readonly ran?: readonly string[];
  readonly signIn?: string;
  /** When it goes if nobody pushes. */
  readonly expires?: Date;
  readonly fork?: boolean;
}

/** What changed, with the variables that the backend has let go since the push. */
export function changesIn({ changes, variablesRemoved }: UpReport): Changes | undefined {
  if (changes === undefined || variablesRemoved === undefined) return changes;
  return { ...changes, env: { ...changes.env, removed: variablesRemoved } };
}

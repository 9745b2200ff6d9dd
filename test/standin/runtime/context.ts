/** The job that the running code belongs to: found through the async context, since all jobs share one realm. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { EnvMode, HttpJob } from "./protocol.ts";

export interface JobContext {
  readonly run: number;
  readonly kind: "Query" | "Mutation" | "Action" | "Import";
  readonly env: Readonly<Record<string, string>>;
  readonly envMode: EnvMode;
  /** First variable that an auth config wanted and did not get. */
  missingVariable?: { readonly name: string; readonly error: Error };
  /** The HTTP request and, after the router ran, its response. */
  request?: HttpJob;
  response?: Response;
  /** Open database queries by id. */
  readonly queries: Map<number, OpenQuery>;
}

export interface OpenQuery {
  readonly query: unknown;
  started: boolean;
  buffer: string[];
  exhausted: boolean;
}

export const jobs = new AsyncLocalStorage<JobContext>();

export function currentJob(): JobContext {
  const job = jobs.getStore();
  if (job === undefined) throw new Error("No Convex function is running here.");
  return job;
}

import { BackendError } from "../deployment/backend-error.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import type { CallOptions } from "../deployment/connection.ts";
import { asRecord } from "../deployment/json.ts";

/** An export as the backend tells it (contract 7.1). */
export interface ExportState {
  readonly id: string;
  readonly state: string;
  readonly timestamp: string | undefined;
  readonly bytes: number | undefined;
  readonly progress: string;
}

/** How long one call about an export may take; the backend answers them in milliseconds. */
const CALL_MS = 15_000;

export const limits = (signal: AbortSignal | undefined): CallOptions => ({
  timeoutMs: CALL_MS,
  ...(signal === undefined ? {} : { signal }),
});

/** The newest one that was asked for over HTTP, by whomever. */
export async function readLatest(client: DeploymentClient, signal?: AbortSignal): Promise<ExportState | undefined> {
  const document = asRecord(await client.systemQuery("_system/cli/exports:getLatest", {}, limits(signal)));
  if (typeof document["_id"] !== "string") return undefined;
  const text = (name: string): string | undefined => {
    const value = document[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    id: document["_id"],
    state: text("state") ?? "unknown",
    timestamp: text("start_ts"),
    bytes: text("size") === undefined ? undefined : Number(text("size")),
    progress: text("progress_message") ?? "",
  };
}

export const isOpen = (latest: ExportState | undefined): boolean =>
  ["requested", "in_progress"].includes(latest?.state ?? "");

/** What the headers of a download tell of an export that is not the newest one any more. */
async function readOlder(client: DeploymentClient, id: string, signal?: AbortSignal): Promise<ExportState> {
  const { headers } = await client.request("HEAD", `/api/export/zip/${id}`, limits(signal));
  const timestamp = /_(\d+)\.zip/.exec(headers["content-disposition"] ?? "")?.[1];
  return { id, state: "completed", timestamp, bytes: Number(headers["content-length"]), progress: "" };
}

/** The state of our export, also when a newer one was asked for meanwhile. */
export async function readOwn(client: DeploymentClient, id: string, signal?: AbortSignal): Promise<ExportState> {
  const latest = await readLatest(client, signal);
  if (latest?.id === id) return latest;
  try {
    return await readOlder(client, id, signal);
  } catch (error) {
    // The answer to HEAD has no body, so only its status is there.
    if (!(error instanceof BackendError) || error.status !== 400) throw error;
    return { id, state: "canceled", timestamp: undefined, bytes: undefined, progress: "" };
  }
}

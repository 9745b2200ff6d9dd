import { ActionError } from "../runner/errors.ts";
import type { Clock } from "../system/clock.ts";
import type { DeploymentClient } from "./client.ts";
import { withoutDocuments } from "./documents.ts";
import { asRecord } from "./json.ts";
import type { PushFile } from "./push-file.ts";

/** Index backfills of a preview with seed data included. */
const LONGEST_WAIT_MS = 10 * 60_000;
const POLL_MS = 10_000;

export interface SentPush {
  /** `analysis` of start_push's answer. */
  readonly analysis: unknown;
  /** finish_push's answer. */
  readonly finished: unknown;
}

/**
 * Sends a recorded push as the CLI would have (contract 5.2): three calls, and no code of it runs on this machine.
 * @throws BackendError; ActionError `schema-violated`, `deploy-raced`, `deploy-timeout`
 */
export async function sendPush(
  client: DeploymentClient,
  file: PushFile,
  { clock, timeoutMs = LONGEST_WAIT_MS }: { readonly clock: Clock; readonly timeoutMs?: number },
): Promise<SentPush> {
  const started = asRecord(await client.deploy("start_push", { ...file.push, dryRun: false, forCodegen: false }));
  await schemaReady(client, started["schemaChange"], clock, timeoutMs);
  // The same answer a second time changes nothing, so a lost answer may be asked for again.
  const finished = await client.deploy(
    "finish_push",
    { startPush: started, dryRun: false, message: null },
    { idempotent: true },
  );
  return { analysis: started["analysis"], finished };
}

async function schemaReady(
  client: DeploymentClient,
  schemaChange: unknown,
  clock: Clock,
  timeoutMs: number,
): Promise<void> {
  const end = clock.now() + timeoutMs;
  for (;;) {
    const body = { schemaChange, timeoutMs: POLL_MS, dryRun: false };
    const answer = asRecord(await client.deploy("wait_for_schema", body, { idempotent: true }));
    switch (answer["type"]) {
      case "complete":
        return;
      case "failed":
        throw new ActionError(
          "schema-violated",
          `Documents do not fit the new schema: ${withoutDocuments(String(answer["error"])).split("\n")[0]}`,
          "Remove the preview with command: down, so that the next up begins with an empty database, or make the schema fit.",
        );
      case "raceDetected":
        throw new ActionError(
          "deploy-raced",
          "Another deploy to this preview began while this one waited for its schema.",
          "Give the jobs of one preview a concurrency group.",
        );
    }
    if (clock.now() >= end) {
      throw new ActionError(
        "deploy-timeout",
        `The schema was not ready within ${Math.round(timeoutMs / 1000)} s; last seen: ${JSON.stringify(answer["components"] ?? answer["type"] ?? null)}.`,
        "Indexes on many documents take long; the backend's log tells which.",
      );
    }
  }
}

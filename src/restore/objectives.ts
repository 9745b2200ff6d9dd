import { span } from "../report/html.ts";
import { met, type Objective } from "../report/report.ts";
import { ActionError } from "../runner/errors.ts";

export interface Limits {
  readonly maxRtoMs: number | undefined;
  readonly maxRpoMs: number | undefined;
}

const limit = (ms: number | undefined): { limitSeconds?: number } =>
  ms === undefined ? {} : { limitSeconds: Math.round(ms / 1000) };

/**
 * RTO: from the beginning of the step until the target served what was asked for. RPO: how old the backup's snapshot
 * was then, which is what would be lost had the incident been at that moment.
 */
export function measure(
  times: { readonly startedAt: number; readonly doneAt: number; readonly snapshotAt: Date },
  limits: Limits,
): Objective[] {
  const rto = (times.doneAt - times.startedAt) / 1000;
  const rpo = Math.max(0, (times.startedAt - times.snapshotAt.getTime()) / 1000);
  return [
    {
      name: "RTO",
      what: "From the beginning of this step until the data were restored, verified and checked.",
      seconds: Math.round(rto * 10) / 10,
      ...limit(limits.maxRtoMs),
    },
    {
      name: "RPO",
      what: `Age of the snapshot (${times.snapshotAt.toISOString().slice(0, 19).replace("T", " ")} UTC) when this step began.`,
      seconds: Math.round(rpo),
      ...limit(limits.maxRpoMs),
    },
  ];
}

/** The error for limits that were not kept; thrown last, when everything else is reported. */
export function exceeded(objectives: readonly Objective[]): ActionError | undefined {
  const over = objectives.filter((objective) => !met(objective));
  if (over.length === 0) return undefined;
  const parts = over.map(
    ({ name, seconds, limitSeconds = 0 }) =>
      `${name} was ${span(seconds)}, max-${name.toLowerCase()} is ${span(limitSeconds)}`,
  );
  return new ActionError(
    "objective-missed",
    `The restore itself is good, and ${parts.join("; ")}.`,
    over.some(({ name }) => name === "RPO")
      ? "Back up more often, or raise max-rpo to what you can bear to lose. For the RTO the report shows which phase took the time."
      : "The report shows which phase took the time.",
  );
}

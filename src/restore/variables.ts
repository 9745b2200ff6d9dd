import type { VariableDifference } from "../backup/settings.ts";
import type { ChangedVariables } from "./state.ts";

const MOST_NAMES = 20;

function names(list: readonly string[]): string {
  const shown = list.slice(0, MOST_NAMES).join(", ");
  return list.length > MOST_NAMES ? `${shown}, and ${list.length - MOST_NAMES} more` : shown;
}

/**
 * What a person has to know of the target's variables before the restored app meets its users; one sentence each.
 * Names only.
 */
export function describeDifference({ missing, changed, added, valuesUnknown }: VariableDifference): string[] {
  const lines: string[] = [];
  if (missing.length > 0) lines.push(`Variables of the backed-up deployment that this one lacks: ${names(missing)}.`);
  if (changed.length > 0) {
    lines.push(
      `Variables that have other values here than when the data were written: ${names(changed)}. Secrets that data depend on (such as BETTER_AUTH_SECRET) must be the same.`,
    );
  }
  if (added.length > 0) lines.push(`Variables that only this deployment has: ${names(added)}.`);
  if (valuesUnknown) {
    lines.push("Whether the values of the others are the same cannot be told: the backup keeps their names alone.");
  }
  return lines;
}

/** Which variables stay as a restore set them although it failed, and the way back; one text. Names only. */
export function describeSet({ replaced, added }: ChangedVariables, safetyBackup: string | undefined): string {
  const what: string[] = [];
  const back: string[] = [];
  if (replaced.length > 0) {
    what.push(`${replaced.join(", ")} (had other values)`);
    back.push(
      safetyBackup === undefined
        ? "set the former values from where your secrets are kept (there is no safety backup that holds them)"
        : `the former values are in the safety backup ${safetyBackup}: restore it with restore-env: true`,
    );
  }
  if (added.length > 0) {
    what.push(`${added.join(", ")} (were not there)`);
    back.push(`remove ${added.join(", ")}`);
  }
  return `Variables were set to those of the backup, or about to be, and stay so: ${what.join("; ")}. To go back: ${back.join("; ")}.`;
}

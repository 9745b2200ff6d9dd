/** `notice` is for what could not be looked at, or is good to know; it never fails a run. */
export type Level = "ok" | "notice" | "warning" | "error";

/** What one check has to say about one thing. No field ever holds a secret. */
export interface Verdict {
  readonly level: Level;
  readonly what: string;
  /** Why it matters; empty when all is well. */
  readonly why: string;
  readonly fix: string;
}

export interface Finding extends Verdict {
  /** Id of the check, a heading of docs/doctor.md. */
  readonly check: string;
}

export const ok = (what: string): Verdict => ({ level: "ok", what, why: "", fix: "" });
export const notice = (what: string, why = "", fix = ""): Verdict => ({ level: "notice", what, why, fix });
export const warning = (what: string, why: string, fix: string): Verdict => ({ level: "warning", what, why, fix });
export const error = (what: string, why: string, fix: string): Verdict => ({ level: "error", what, why, fix });

/** A check that has nothing to look at because of something that another check reports. */
export class NotChecked extends Error {}

const ORDER: readonly Level[] = ["error", "warning", "notice", "ok"];

/** Worst first; within a level in the order of the checks. */
export function worstFirst(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
}

import type { Phase } from "../runner/summary.ts";

/** `passed`: everything that was asked for held. `failed`: it did not. `unfinished`: it ended before that could be told. */
export type Verdict = "passed" | "failed" | "unfinished";

/** A time against its limit. */
export interface Objective {
  readonly name: "RTO" | "RPO";
  /** What was measured, as a sentence. */
  readonly what: string;
  readonly seconds: number;
  readonly limitSeconds?: number;
}

/** One table, or the files of one component, as it should be and as it was found. */
export interface ReportRow {
  /** `messages`, `messages in widget`, `files`. */
  readonly name: string;
  readonly expected: number;
  /** Undefined when it was not looked at. */
  readonly found?: number;
  /** `equal`, `different`, or `not compared` where only counts were. */
  readonly content: "equal" | "different" | "not compared";
  /** Ids of some documents that differ, with how: `missing`, `extra`, `changed`. Never contents. */
  readonly samples?: readonly { readonly id: string; readonly how: string }[];
}

/** What several ways led to, one list of rows each: an upgrade has two. */
export interface ReportTable {
  readonly title: string;
  readonly rows: readonly ReportRow[];
}

export interface ReportCheck {
  readonly name: string;
  readonly ok: boolean;
  /** Why it is not, or where it was made. */
  readonly detail?: string;
}

/** A list of facts under one heading; values are plain text. */
export interface ReportFacts {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** What a restore, a drill or a rehearsal leaves for people: the same content as JSON and as a page. Holds no secret and no document. */
export interface Report {
  readonly kind: "restore" | "drill" | "upgrade";
  readonly title: string;
  readonly verdict: Verdict;
  /** One sentence that stands alone. */
  readonly headline: string;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly objectives: readonly Objective[];
  readonly phases: readonly Phase[];
  readonly tables: readonly ReportTable[];
  readonly checks: readonly ReportCheck[];
  readonly facts: readonly ReportFacts[];
  /** What a reader has to know beside the verdict, a sentence or two each. */
  readonly notes: readonly string[];
  /** Why it failed, `[code] message → hint`. */
  readonly failure?: string;
}

/** Whether a limit was kept; true where there is none. */
export function met({ seconds, limitSeconds }: Objective): boolean {
  return limitSeconds === undefined || seconds <= limitSeconds;
}

/** The report for programs; `version` changes when a field changes its meaning or goes. */
export function reportJson(report: Report): string {
  const { startedAt, endedAt, phases, objectives } = report;
  const value = {
    version: 1,
    ...report,
    startedAt: startedAt.toISOString(),
    endedAt: endedAt.toISOString(),
    objectives: objectives.map((objective) => ({ ...objective, met: met(objective) })),
    phases: phases.map(({ name, from, to }) => ({
      name,
      startMs: from - startedAt.getTime(),
      endMs: to - startedAt.getTime(),
    })),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

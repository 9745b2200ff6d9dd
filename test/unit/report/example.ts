import type { Report } from "../../../src/report/report.ts";

const START = Date.UTC(2026, 10, 22, 3);

/** A drill as it comes out of a job, with every part that a report can have. */
export function exampleReport(overrides: Partial<Report> = {}): Report {
  return {
    kind: "drill",
    title: "Restore drill of convex-self-hosted",
    verdict: "passed",
    headline: "The backup of 2026-11-22 03:00 restores: 3 tables and 8 files, equal to the last byte.",
    startedAt: new Date(START),
    endedAt: new Date(START + 4_230),
    objectives: [
      { name: "RTO", what: "From the beginning of this step.", seconds: 4.2, limitSeconds: 900 },
      { name: "RPO", what: "Age of the snapshot.", seconds: 93_900, limitSeconds: 86_400 },
    ],
    phases: [
      { name: "download", from: START + 100, to: START + 400 },
      { name: "import", from: START + 400, to: START + 3000 },
      { name: "verify", from: START + 3000, to: START + 4200 },
    ],
    tables: [
      {
        title: "Table by table",
        rows: [
          { name: "messages", expected: 12_034, found: 12_034, content: "equal" },
          {
            name: "rooms",
            expected: 4,
            found: 3,
            content: "different",
            samples: [{ id: "j57000820c20a1g7104gm2rc1m70ynr8", how: "missing" }],
          },
          { name: "counters in widget", expected: 1, found: 1, content: "not compared" },
        ],
      },
    ],
    checks: [
      { name: "checks:totals", ok: true },
      { name: "checks:owners", ok: false, detail: "returned false instead of true" },
    ],
    facts: [{ title: "Backup", facts: [["Id", "2026-11-22T03-00-04Z-3f9c"]] }],
    notes: ["2 scheduled functions are left."],
    ...overrides,
  };
}

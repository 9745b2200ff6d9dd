import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BACKUPS } from "../../../src/doctor/backups.ts";
import { CHECKS, runChecks } from "../../../src/doctor/checks.ts";
import type { Check, Context } from "../../../src/doctor/context.ts";
import { NotChecked, ok, worstFirst } from "../../../src/doctor/finding.ts";
import { doctorSummary, verdictOf } from "../../../src/doctor/summary.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { jumpingClock } from "../deployment/support.ts";

const nothing = {} as Context;
const check = (id: string, run: Check["run"]): Check => ({ id, run });

describe("checks", () => {
  it("that fail themselves, or have nothing to look at, stop no other", async () => {
    const findings = await runChecks(nothing, systemClock, [
      check("breaks", () => Promise.reject(new TypeError("x is not a function\nat there"))),
      check("blocked", () => Promise.reject(new NotChecked("the door is closed"))),
      check("works", async () => [ok("fine"), ok("fine too")]),
    ]);
    expect(findings.map((one) => `${one.level} ${one.check}: ${one.what}`)).toEqual([
      "warning breaks: This check failed itself: x is not a function",
      "notice blocked: Not checked: the door is closed.",
      "ok works: fine",
      "ok works: fine too",
    ]);
  });
  it("that do not end are over after ten seconds", async () => {
    const clock = jumpingClock();
    const findings = await runChecks(nothing, clock, [check("hangs", () => new Promise(() => {}))]);
    expect(clock.slept).toEqual([10_000]);
    expect(findings[0]).toMatchObject({ check: "hangs", level: "warning" });
    expect(findings[0]?.what).toContain("did not end within 10 s");
  });
  it("each have a section of their own in docs/doctor.md, and no other", async () => {
    const page = await readFile(join(import.meta.dirname, "../../../docs/doctor.md"), "utf8");
    const headings = [...page.matchAll(/^### `([a-z-]+)`$/gm)].map(([, id]) => id);
    expect(headings).toEqual([...CHECKS.map(({ id }) => id), BACKUPS]);
  });
});

describe("the summary", () => {
  const findings = [
    { check: "a", ...ok("good | thing") },
    { check: "b", level: "notice" as const, what: "n", why: "", fix: "" },
    { check: "c", level: "warning" as const, what: "w", why: "because", fix: "do <this>" },
    { check: "d", level: "error" as const, what: "e @someone", why: "bad", fix: "mend" },
  ];
  it("has the worst first, each with its fix, and foreign text made safe", () => {
    const text = doctorSummary("http://a", findings, 1200);
    expect(text).toContain("### ❌ Doctor: 1 error and 1 warning at http://a");
    expect([...text.matchAll(/^\| (.+?) \| `(\w)`/gm)].map(([, mark, id]) => `${mark}${id}`)).toEqual([
      "❌d",
      "⚠️c",
      "ℹ️b",
    ]);
    expect(text).toContain("do &lt;this&gt;");
    expect(text).not.toContain("@someone");
    expect(text).toContain("1 found well");
  });
  it("says so when all is well", () => {
    expect(verdictOf([{ check: "a", ...ok("good") }])).toBe("nothing wrong");
    expect(worstFirst(findings).map((one) => one.check)).toEqual(["d", "c", "b", "a"]);
  });
});

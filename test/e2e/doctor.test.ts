/** The doctor action in a whole workflow. */
import { describe, expect } from "vitest";
import { expectNoLeaks, expectNothingLeft, runtimes, start, test } from "./support.ts";

describe("the doctor action", () => {
  test("finds what the root action made good, and keys that do not belong together", async ({ before }) => {
    const run = await start(runtimes.binary(), { workflow: "doctor.yml" });
    expect(run.results("well"), run.log).toEqual(["success"]);
    expect(run.outputs("well")).toMatchObject({ ok: "true", errors: "0", warnings: "0" });
    expect(run.errorCode, run.log).toBe("doctor-findings");
    expect(run.results("ill")).toEqual(["failure"]);
    const findings = JSON.parse(run.outputs("ill")["findings"] ?? "") as { check: string; level: string }[];
    const errors = findings.filter(({ level }) => level === "error").map(({ check }) => check);
    expect(errors).toEqual(["auth-keys", "discovery"]);
    expect(run.summary).toContain("Doctor: nothing wrong");
    expect(run.summary).toContain("Doctor: 2 errors");
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });
});

import { describe, expect, it } from "vitest";
import type { Changes } from "../../../src/deploy/changes.ts";
import type { EnvPlan } from "../../../src/deploy/env-plan.ts";
import { PreflightError } from "../../../src/deploy/preflight.ts";
import { changesTable, deploySummary, failureSummary, touched, wayBack } from "../../../src/deploy/summary.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { Timeline } from "../../../src/runner/timeline.ts";
import { jumpingClock } from "../deployment/support.ts";

const NONE = { added: [], removed: [], changed: [] };
const changes = (more: Partial<Changes> = {}): Changes => ({
  functions: NONE,
  modules: NONE,
  httpRoutes: NONE,
  crons: null,
  tables: NONE,
  indexes: NONE,
  authProviders: NONE,
  components: NONE,
  env: NONE,
  breaking: [],
  ...more,
});
const plan = (more: Partial<EnvPlan> = {}): EnvPlan => ({
  add: [],
  change: [],
  remove: [],
  keep: [],
  leave: [],
  ...more,
});
const timeline = new Timeline(jumpingClock(), 0);
const failure = new ActionError("some-code", "It broke.\nMore of it.", "Mend it.");

describe("what changes", () => {
  it("begins with what breaks clients, marks what came and went, and says what nobody looked at", () => {
    const table = changesTable(
      changes({ functions: { added: ["a:b"], removed: ["c:d"], changed: ["e:f"] }, breaking: ["c:d is gone."] }),
    );
    expect(table.startsWith("**⚠️ Breaking for clients**")).toBe(true);
    expect(table).toContain("| Functions | + a:b<br>± e:f<br>− c:d |");
    expect(table).toContain("Not compared: crons.");
  });
  it("is nothing, said in words", () => {
    expect(changesTable(changes({ crons: NONE }))).toBe("Nothing changes.");
  });
  it("cuts long lists and escapes names", () => {
    const added = Array.from({ length: 50 }, (_, at) => `<b>${at}|`);
    const table = changesTable(changes({ modules: { ...NONE, added } }));
    expect(table).toContain("… 10 more");
    expect(table).not.toContain("<b>");
  });
});

describe("the way back", () => {
  it("tells what was set and what was not removed when the push failed", () => {
    const text = wayBack({ plan: plan({ add: ["A"], change: ["B"], remove: ["C"] }), variablesSet: true });
    expect(text).toContain("The code that was live before still is.");
    expect(text).toMatch(/Added before the push: A\.[\s\S]*Changed before the push: B\.[\s\S]*Not removed: C\./);
  });
  it("tells that the code is live when a later step failed", () => {
    const text = wayBack({ plan: plan({ remove: ["C"] }), live: true, variablesRemoved: true });
    expect(text).toContain("The new code is live.");
    expect(text).toContain("Removed after the push: C.");
  });
  it("claims nothing that is not known", () => {
    const report = { doubts: ["Whether the new code is live is not known."] };
    expect(touched(report)).toBe(true);
    expect(wayBack(report)).not.toContain("still is");
    expect(wayBack({ overtaken: true })).toBe("- The code of another deploy is live.");
  });
});

describe("the summary", () => {
  it("of a failure that touched nothing says so", () => {
    const text = failureSummary(failure, {}, timeline);
    expect(text).toContain("### ❌ Deploy: It broke.");
    expect(text).toContain("Nothing that is served was changed.");
    expect(text).not.toContain("More of it");
  });
  it("of a failed preflight lists every finding", () => {
    const finding = (code: string) => ({
      level: "error" as const,
      code,
      message: `${code} is wrong`,
      hint: "Mend it.",
    });
    const [one, two] = [finding("first-code"), finding("second-code")];
    const text = failureSummary(new PreflightError(one, [one, two]), {}, timeline);
    expect(text).toContain("`first-code`");
    expect(text).toContain("`second-code`");
  });
  it("of a dry run claims no deploy", () => {
    expect(deploySummary({ dryRun: true }, timeline, 1000)).toContain("Dry run: nothing was changed");
    expect(deploySummary({}, timeline, 1000)).toContain("### ✅ Deployed in 1.0 s");
  });
});

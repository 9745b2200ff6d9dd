import { describe, expect, it } from "vitest";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import { parseChecks, runChecks } from "../../../src/restore/checks.ts";
import { exceeded, measure } from "../../../src/restore/objectives.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Answer, collectLog, FakeBackend, KEY } from "../deployment/support.ts";

describe("lines of checks", () => {
  it("are functions with what they have to return: true, or the JSON behind =>", () => {
    expect(parseChecks(["a:b", 'a:c {"x": "y => z"} => {"n": [1]}', 'a:d {"x": " => 1"}', 'a:e => "b => c"'])).toEqual([
      { call: { path: "a:b", args: {} }, expected: true },
      { call: { path: "a:c", args: { x: "y => z" } }, expected: { n: [1] } },
      { call: { path: "a:d", args: { x: " => 1" } }, expected: true },
      { call: { path: "a:e", args: {} }, expected: "b => c" },
    ]);
  });

  it.each([
    ["a:b {", /line 1 is no function/],
    ["https://a.example/health", /line 1 is no function/],
    ["a:b => nope", /line 1 has no JSON/],
    [" => 1", /line 1/],
  ])("that cannot be read are refused with their number: %s", (line, text) => {
    expect(() => parseChecks([line])).toThrow(text);
  });
});

describe("checks", () => {
  const success = (value: unknown): Answer => ({ json: { status: "success", value, logLines: [] } });
  const failure = (text: string): Answer => ({
    json: { status: "error", errorMessage: `[Request ID: 0123456789abcdef] Server Error\n${text}`, logLines: [] },
  });

  async function run(lines: readonly string[], answers: readonly Answer[]) {
    const left = [...answers];
    await using backend = await new FakeBackend(() => left.shift() ?? { status: 500 }).listen();
    const client = new DeploymentClient({
      url: backend.url,
      adminKey: KEY,
      http: systemHttp,
      clock: systemClock,
      log: collectLog().log,
    });
    return { results: await runChecks(client, parseChecks(lines)), calls: backend.seen.length };
  }

  it("are all carried out, whatever becomes of the first", async () => {
    const { results } = await run(["a:a", "a:b => 3", "a:c"], [success(false), success(3), success(true)]);
    expect(results).toEqual([
      { name: "a:a", ok: false, detail: "returned false instead of true" },
      { name: "a:b", ok: true },
      { name: "a:c", ok: true },
    ]);
  });

  it("show no document that a function returns or fails with", async () => {
    const answers = [success({ name: "Ada Private" }), failure('Value: {name: "Ada Private"}\nmore')];
    const { results } = await run(["a:a", "a:b"], answers);
    expect(JSON.stringify(results)).not.toContain("Ada Private");
  });

  it("are asked again where a cold start used up the function's time, and bounded", async () => {
    const late = failure("Function execution timed out (maximum duration: 1s)");
    expect(await run(["a:a"], [late, success(true)])).toMatchObject({ results: [{ ok: true }], calls: 2 });
    expect(await run(["a:a"], [late, late, late, success(true)])).toMatchObject({ results: [{ ok: false }], calls: 3 });
    expect(await run(["a:a"], [failure("no"), success(true)])).toMatchObject({ results: [{ ok: false }], calls: 1 });
  });
});

describe("objectives", () => {
  const at = Date.UTC(2026, 10, 22, 3);
  const times = { startedAt: at, doneAt: at + 90_000, snapshotAt: new Date(at - 7_200_000) };

  it("are measured from the step's beginning, and missed only above their limit", () => {
    const kept = measure(times, { maxRtoMs: 90_000, maxRpoMs: 7_200_000 });
    expect(kept.map(({ seconds }) => seconds)).toEqual([90, 7200]);
    expect(exceeded(kept)).toBeUndefined();
    expect(exceeded(measure(times, { maxRtoMs: undefined, maxRpoMs: undefined }))).toBeUndefined();
  });

  it("that are missed are told together", () => {
    const error = exceeded(measure(times, { maxRtoMs: 60_000, maxRpoMs: 3_600_000 }));
    expect(error?.code).toBe("objective-missed");
    expect(error?.message).toContain("RTO was 90 s, max-rto is 60 s; RPO was 2 h, max-rpo is 1 h");
  });
});

import { describe, expect, it } from "vitest";
import { readUpgradeInputs } from "../../../src/upgrade/inputs.ts";
import { safeRoads, unsafe, upgradeReport } from "../../../src/upgrade/outcome.ts";
import type { Road } from "../../../src/upgrade/roads.ts";
import { checkUpgradeInputs } from "../../../src/upgrade/rules.ts";

const REQUIRED = { from: "2026-03-14-995f28a", to: "2026-09-28-5c7cb5b", source: "dir:backups" };

function read(inputs: Record<string, string>) {
  const all: Record<string, string> = { ...REQUIRED, ...inputs };
  return readUpgradeInputs((name) => all[name] ?? "", "/repository");
}

describe("the inputs of a rehearsal", () => {
  it("make two starts of them that differ in the release alone", () => {
    const { from, to } = read({ env: "A=b", "ready-timeout": "2m" });
    expect(from).toMatchObject({ version: "2026-03-14-995f28a", paused: true, port: 0, sitePort: 0, env: "A=b" });
    expect({ ...to, version: from.version }).toEqual(from);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ["one release twice", { to: "2026-03-14-995f28a" }, /both 2026-03-14-995f28a/],
    ["no release to go to", { to: "" }, /to is not set/],
    ["no release to come from", { from: "" }, /from is not set/],
    ["checks without code", { checks: "a:b", deploy: "false" }, /deploy is false/],
  ])("may not be %s", (_, inputs, text) => {
    expect(() => checkUpgradeInputs(read(inputs))).toThrow(text);
  });
});

const road = (name: Road["name"], safe: boolean): Road => ({
  name,
  safe,
  rows: [],
  checks: [],
  ...(safe ? {} : { failure: "the data differ from the backup." }),
});

describe("what a rehearsal says", () => {
  it.each<[boolean, boolean, string]>([
    [true, true, "both"],
    [true, false, "in-place"],
    [false, true, "import"],
    [false, false, "none"],
  ])("in place %s, import %s: %s", (inPlace, byImport, safe) => {
    const roads = [road("in-place", inPlace), road("import", byImport)];
    expect(safeRoads(roads)).toBe(safe);
    expect(unsafe(roads)?.code).toBe(safe === "none" ? "upgrade-unsafe" : undefined);
    const times = { startedAt: 0, endedAt: 1000, phases: [] };
    const report = upgradeReport({ from: "A", to: "B", roads }, times, unsafe(roads));
    expect(report.verdict).toBe(safe === "both" ? "passed" : safe === "none" ? "failed" : "unfinished");
    expect(report.headline).toMatch(/^From A to B /);
  });
});

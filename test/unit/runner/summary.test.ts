import { describe, expect, it } from "vitest";
import { escapeMarkdown, gantt, seconds } from "../../../src/runner/summary.ts";

describe("escapeMarkdown", () => {
  it("leaves nothing that Markdown, HTML or a mention would take up", () => {
    const text = escapeMarkdown("<img src=x> | [a](b) @team `x` **b** ~~s~~ # h\nnext");
    expect(text.replace("<br>", "")).not.toMatch(/[<>|[\]@`*~]/);
    expect(text).toContain("<br>next");
    expect(text).toContain("&lt;img");
  });
});

describe("seconds", () => {
  it.each([
    [31, "0.0 s"],
    [940, "0.9 s"],
    [12_400, "12 s"],
    [200_000, "3 min 20 s"],
  ])("%i ms is %s", (ms, text) => {
    expect(seconds(ms)).toBe(text);
  });
});

describe("gantt", () => {
  it("counts from the first phase, so that overlaps can be seen", () => {
    const chart = gantt("Start", [
      { name: "pull", from: 1000, to: 1900 },
      { name: "keys", from: 1010, to: 1100 },
    ]);
    expect(chart).toContain("  pull 0.9 s : 0, 900");
    expect(chart).toContain("  keys 0.1 s : 10, 100");
  });
  it("is empty without phases", () => {
    expect(gantt("Start", [])).toBe("");
  });
});

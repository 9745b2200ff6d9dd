import { describe, expect, it } from "vitest";
import { reportHtml, span } from "../../../src/report/html.ts";
import { type Report, reportJson } from "../../../src/report/report.ts";
import { exampleReport } from "./example.ts";

const EVIL = `<script>alert(1)</script>"'\`&`;

/** Every text of a report replaced by one that would break out of its place. */
function poisoned(value: unknown): unknown {
  if (typeof value === "string") return EVIL;
  if (Array.isArray(value)) return value.map(poisoned);
  if (value instanceof Date || typeof value !== "object" || value === null) return value;
  const kept = ["verdict", "kind", "content"];
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, kept.includes(name) ? one : poisoned(one)]),
  );
}

describe("the page of a report", () => {
  it("says the verdict, the times against their limits, and what differs first", () => {
    const page = reportHtml(exampleReport({ verdict: "failed", headline: "1 of 3 tables differs." }));
    expect(page).toContain('<header class="failed">');
    expect(page).toContain("✗ 1 of 3 tables differs.");
    expect(page).toMatch(/RTO<\/h2><p class="number">4\.2 s<\/p>.*within the limit of 15 min/);
    expect(page).toMatch(/RPO<\/h2><p class="number bad">26 h 5 min<\/p>.*over the limit of 24 h/);
    expect(page.indexOf("<td>rooms")).toBeLessThan(page.indexOf("<td>messages"));
    expect(page).toContain("missing: <code>j57000820c20a1g7104gm2rc1m70ynr8</code>");
  });

  it("is one file: no script, no link, nothing that is loaded, and a policy that forbids both", () => {
    const page = reportHtml(exampleReport());
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(page).not.toMatch(/<script|<link|<img|<iframe|src=|href=|@import|url\(/);
  });

  it("lets no text out of its place", () => {
    const page = reportHtml(poisoned(exampleReport({ failure: "x" })) as Report);
    expect(page).not.toContain("<script");
    expect(page).not.toContain(EVIL);
    const inside = page.slice(page.indexOf("<body>"));
    // Whatever was put in is there, as text, in each kind of place.
    expect(inside.split("&#60;script&#62;").length).toBeGreaterThan(20);
    for (const [attributes = ""] of inside.matchAll(/="[^"]*"/g)) expect(attributes).not.toMatch(/[<>]/);
  });

  it("stays small with many tables, and points to the JSON", () => {
    const rows = Array.from({ length: 5000 }, (_, index) => ({
      name: `table${index}`,
      expected: index,
      found: index,
      content: "equal" as const,
    }));
    const page = reportHtml(exampleReport({ tables: [{ title: "Tables", rows }] }));
    expect(page).toContain("3,000 more are in the JSON report.");
    expect(page.length).toBeLessThan(500_000);
  });
});

describe("the JSON of a report", () => {
  it("has the same content with times that programs understand", () => {
    const value: unknown = JSON.parse(reportJson(exampleReport()));
    expect(value).toMatchObject({
      version: 1,
      kind: "drill",
      verdict: "passed",
      startedAt: "2026-11-22T03:00:00.000Z",
      objectives: [
        { name: "RTO", met: true },
        { name: "RPO", met: false },
      ],
      phases: [{ name: "download", startMs: 100, endMs: 400 }, {}, {}],
    });
  });
});

describe("a span", () => {
  it.each([
    [0.4, "0.4 s"],
    [59, "59 s"],
    [900, "15 min"],
    [7200, "2 h"],
    [93_900, "26 h 5 min"],
    [200_000, "2 d 7 h"],
  ])("of %d s is %s", (value, text) => {
    expect(span(value)).toBe(text);
  });
});

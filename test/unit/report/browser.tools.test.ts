import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reportHtml } from "../../../src/report/html.ts";
import type { Report } from "../../../src/report/report.ts";
import { Browser, type Seen } from "../../support/browser.ts";
import { exampleReport } from "./example.ts";

let directory: string;
let browser: Browser;

beforeAll(async () => {
  [directory, browser] = await Promise.all([mkdtemp(join(tmpdir(), "report-")), Browser.start()]);
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const WIDTHS = { wide: 1280, phone: 360 } as const;

/** Names as long as the backend allows them, hashes, and what would run if it were let. */
const awkward: Report = exampleReport({
  headline: "<img src=x onerror=alert(1)> ".repeat(3),
  failure: "[restore-differs] The import succeeded, and 1 of 3 tables are not what the backup holds → look.",
  tables: [
    {
      title: "Table by table",
      rows: [
        {
          name: `${"verylongtablename".repeat(4)} in widget/inner`,
          expected: 123_456_789,
          found: 3,
          content: "different",
        },
        { name: "messages", expected: 12_034, found: 12_034, content: "equal" },
      ],
    },
  ],
  facts: [
    {
      title: "SHA-256, all compared",
      facts: [["snapshot.zip.age", "c5ff7bc5c53bc9cb1d5eb9e97ff9f77ac8dfb0afb0e28a5a6a3d9f79be5b1fd7"]],
    },
  ],
});

async function open(report: Report, name: string, width: number, scheme: "light" | "dark"): Promise<Seen> {
  const path = join(directory, `${name}.html`);
  await writeFile(path, reportHtml(report));
  return await browser.look(path, { width, height: 900, scheme });
}

describe.each(["light", "dark"] as const)("the page in a browser, %s", (scheme) => {
  it.each(["wide", "phone"] as const)("%s: asks for itself alone, fits, and runs nothing", async (width) => {
    const seen = await open(awkward, `${scheme}-${width}`, WIDTHS[width], scheme);
    const self = pathToFileURL(join(directory, `${scheme}-${width}.html`)).href;
    expect(seen.requests).toEqual([self]);
    expect(seen.problems).toEqual([]);
    expect(await seen.evaluate("document.documentElement.scrollWidth - window.innerWidth")).toBeLessThanOrEqual(0);
    expect(await seen.evaluate("document.querySelectorAll('script,img,link,iframe').length")).toBe(0);
    expect(seen.picture.length).toBeGreaterThan(5000);
  });

  it("has texts that can be read on what is behind them", async () => {
    const seen = await open(exampleReport({ verdict: "failed" }), `contrast-${scheme}`, WIDTHS.wide, scheme);
    const lowest = await seen.evaluate(`(() => {
      const light = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
          .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (element) => {
        for (let e = element; e !== null; e = e.parentElement) {
          const { backgroundColor } = getComputedStyle(e);
          if (!/, 0\\)$/.test(backgroundColor) && backgroundColor !== "transparent") return backgroundColor;
        }
        return "rgb(255, 255, 255)";
      };
      const ratios = [...document.querySelectorAll("main *")]
        .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== ""))
        .map((e) => {
          const style = getComputedStyle(e);
          const [a, b] = [light(e instanceof SVGElement ? style.fill : style.color), light(behind(e))];
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        });
      return Math.min(...ratios);
    })()`);
    // What WCAG asks of text of ordinary size.
    expect(lowest).toBeGreaterThanOrEqual(4.5);
  });

  it("draws each phase where it was", async () => {
    const seen = await open(exampleReport(), `bars-${scheme}`, WIDTHS.phone, scheme);
    const bars = await seen.evaluate(
      "[...document.querySelectorAll('svg .bar')].map((bar) => bar.getBoundingClientRect()).map(({ left, right }) => [Math.round(left), Math.round(right)])",
    );
    const [first, second, third] = bars as [number, number][];
    expect(first?.[1]).toBeLessThan((second?.[1] ?? 0) - 50);
    expect(second?.[1]).toBe(third?.[0]);
    expect(third?.[1]).toBeLessThanOrEqual(WIDTHS.phone);
  });
});

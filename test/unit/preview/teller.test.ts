import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PreviewFacts } from "../../../src/preview/comment.ts";
import { parseEnvironment } from "../../../src/preview/environment.ts";
import { Teller } from "../../../src/preview/teller.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { collectLog } from "../deployment/support.ts";
import { NOW, type Talk, talk } from "../github/support.ts";

const COMMIT = "1234567890123456789012345678901234567890";
const PREVIEW = { name: "pr-12", number: 12 };
const FACTS: PreviewFacts = {
  url: "https://pr-12.preview.example.com",
  siteUrl: "https://pr-12-site.preview.example.com",
  dashboardUrl: "https://pr-12-dashboard.preview.example.com",
  commit: COMMIT,
  created: new Date(NOW - 86_400_000),
  updated: new Date(NOW),
  expires: new Date(NOW + 7 * 86_400_000),
  fork: false,
};
const NOTHING = { added: [], removed: [], changed: [] };
const CHANGES = {
  functions: { added: ["rooms:add"], removed: ["rooms:drop"], changed: [] },
  modules: null,
  httpRoutes: NOTHING,
  crons: NOTHING,
  tables: { added: ["rooms"], removed: [], changed: [] },
  indexes: NOTHING,
  authProviders: NOTHING,
  components: NOTHING,
  env: NOTHING,
  breaking: ["rooms:drop is gone: clients that call it get an error."],
};

function teller(to: Talk, more: { environment?: string; comment?: boolean; github?: null } = {}) {
  const lines = collectLog();
  const made = new Teller({
    github: more.github === null ? undefined : to.github,
    comment: more.comment ?? true,
    environment: parseEnvironment(more.environment),
    runUrl: "https://github.com/acme/chat/actions/runs/5",
    clock: to.clock,
    log: lines.log,
  });
  const of = (level: string): string[] => lines.all.filter((line) => line.startsWith(`${level}: `));
  return { made, warnings: () => of("warning"), notices: () => of("notice") };
}
const states = (to: Talk) =>
  to.api.state.deployments.map(({ statuses }) => statuses.map(({ state }) => state).join(" → "));

describe("a preview", () => {
  it("is told of from its queue to its end, in one comment and with its deployments", async () => {
    await using to = await talk();
    for (let run = 0; run < 2; run += 1) {
      const { made } = teller(to);
      // Nobody waits for these; their order is kept all the same.
      void made.queued(PREVIEW, COMMIT);
      void made.started(PREVIEW);
      await made.ready(PREVIEW, FACTS);
    }
    expect(states(to)).toEqual(["queued → in_progress → success → inactive", "queued → in_progress → success"]);
    expect(to.api.state.deployments[1]?.statuses.at(-1)).toMatchObject({
      environment_url: FACTS.url,
      log_url: "https://github.com/acme/chat/actions/runs/5",
    });
    await teller(to).made.removed(PREVIEW, "pull request 12 is closed");
    expect(states(to)).toEqual([
      "queued → in_progress → success → inactive",
      "queued → in_progress → success → inactive",
    ]);
    expect(to.api.comments).toHaveLength(1);
    expect(to.api.comments[0]?.body).toBe(
      "Preview removed on 2026-11-27 18:00 UTC: pull request 12 is closed.\n\n<!-- convex-selfhost preview pr-12 -->\n",
    );
  });
  it("is shown with its URL first, then dashboard, commit, what breaks, and when it goes", async () => {
    await using to = await talk();
    await teller(to).made.ready(PREVIEW, { ...FACTS, changes: CHANGES, after: "abcdef0".padEnd(40, "0") });
    const body = to.api.comments[0]?.body ?? "";
    const order = [
      "### ✅ [https://pr-12.preview.example.com](https://pr-12.preview.example.com)",
      "[Dashboard](https://pr-12-dashboard.preview.example.com) · [HTTP actions](https://pr-12-site.preview.example.com)",
      "Commit `1234567` · updated 2026-11-27 18:00 UTC · created 2026-11-26 18:00 UTC",
      "**What this push changed in the preview, which served `abcdef0` before**",
      "Breaking for clients",
      "rooms:drop is gone",
      "| Functions | + rooms:add",
      "Goes away when this pull request is closed, or on 2026-12-04 18:00 UTC without another push.",
    ].map((part) => body.indexOf(part));
    expect(order.every((at, index) => at >= 0 && (index === 0 || at > (order[index - 1] ?? 0)))).toBe(true);
  });
  it("keeps what its commit changed where another run has nothing to push, and no longer", async () => {
    await using to = await talk();
    const { made } = teller(to);
    await made.ready(PREVIEW, { ...FACTS, changes: CHANGES, after: "abcdef0".padEnd(40, "0") });
    for (const commit of [COMMIT, "f".repeat(40)]) {
      await made.ready(PREVIEW, { ...FACTS, commit, updated: new Date(NOW + 60_000) });
      const body = to.api.comments[0]?.body ?? "";
      expect(body).toContain("updated 2026-11-27 18:01 UTC");
      expect(body.split("rooms:drop is gone")).toHaveLength(commit === COMMIT ? 2 : 1);
    }
  });
  it("that failed says why and what to do, and leaves the former deployment as it is", async () => {
    await using to = await talk();
    const first = teller(to).made;
    await first.queued(PREVIEW, COMMIT);
    await first.ready(PREVIEW, FACTS);
    const { made } = teller(to);
    await made.queued(PREVIEW, COMMIT);
    await made.failed(PREVIEW, new ActionError("push-failed", "It *broke*.", "Fix it."), {
      commit: COMMIT,
      url: FACTS.url,
    });
    expect(states(to)).toEqual(["queued → success", "queued → failure"]);
    expect(to.api.comments[0]?.body).toContain(
      "### ❌ No preview of `1234567`\n\nIt &#42;broke&#42;.\n\n**What to do:** Fix it.",
    );
    expect(to.api.comments[0]?.body).toContain("may still be at [https://pr-12.preview.example.com]");
  });
  it("of a fork waits in sight of its former commit", async () => {
    await using to = await talk();
    const one = to.api.state.open(12, { labels: ["preview-fork"] });
    const { made } = teller(to);
    await made.waiting(PREVIEW, "a label is missing");
    expect(to.api.comments[0]?.body).toMatch(/^⚠️ \*\*Waiting:\*\* a label is missing\.\n/);
    await made.ready(PREVIEW, { ...FACTS, fork: true });
    await made.waiting(PREVIEW, "1 is new", "preview-fork");
    await made.waiting(PREVIEW, "2 is new", "preview-fork");
    const body = to.api.comments[0]?.body ?? "";
    expect(body).toContain("### ✅ [https://pr-12.preview.example.com]");
    expect(body).toContain("`fork-env` alone");
    expect(body).toContain("**Waiting:** 2 is new.");
    expect(body).not.toContain("1 is new");
    expect(one.labels).toEqual([]);
  });
  it("of which nobody was told ends without a comment", async () => {
    await using to = await talk();
    await teller(to).made.removed(PREVIEW, "x");
    expect(to.api.comments).toEqual([]);
    expect(to.api.requests.filter((line) => !line.startsWith("GET"))).toEqual([]);
  });
  it("of a branch has deployments, and no comment", async () => {
    await using to = await talk();
    const { made } = teller(to);
    await made.queued({ name: "main" }, COMMIT);
    await made.ready({ name: "main" }, FACTS);
    expect(states(to)).toEqual(["queued → success"]);
    expect(to.api.comments).toEqual([]);
  });
});

describe("GitHub", () => {
  it("is not asked at all where nothing is to be shown", async () => {
    await using to = await talk();
    const { made } = teller(to, { environment: "none", comment: false });
    await made.queued(PREVIEW, COMMIT);
    await made.ready(PREVIEW, FACTS);
    await made.removed(PREVIEW, "x");
    expect(to.api.requests).toEqual([]);
  });
  it("that refuses is a warning for each missing line, once", async () => {
    await using to = await talk();
    to.api.permissions.clear();
    const { made, warnings } = teller(to);
    await made.queued(PREVIEW, COMMIT);
    await made.started(PREVIEW);
    await made.ready(PREVIEW, FACTS);
    expect(warnings().map((text) => /Add ([a-z-]+: write)/.exec(text)?.[1])).toEqual([
      "deployments: write",
      "pull-requests: write",
    ]);
  });
  it("without a token is a warning, unless nothing is to be shown", async () => {
    await using to = await talk();
    const { made, warnings } = teller(to, { github: null });
    await made.ready(PREVIEW, FACTS);
    expect(warnings()).toEqual([expect.stringContaining("github-token is empty")]);
    expect(teller(to, { github: null, comment: false, environment: "none" }).warnings()).toEqual([]);
  });
  it("keeps an environment that the token may not remove, and that is said", async () => {
    await using to = await talk();
    const { made, notices } = teller(to, { environment: "per-preview" });
    await made.queued(PREVIEW, COMMIT);
    await made.ready(PREVIEW, FACTS);
    expect([...to.api.state.environments]).toEqual(["convex-preview-pr-12"]);
    await made.removed(PREVIEW, "x");
    expect(notices()).toEqual([expect.stringContaining("takes a token with administration: write")]);
    to.api.permissions.add("administration: write");
    await made.removed(PREVIEW, "x");
    expect([...to.api.state.environments]).toEqual([]);
  });
});

describe("github-environment", () => {
  it("is one for all by default, and never an impossible name", () => {
    expect([undefined, "none", "per-preview", "Preview (QA)"].map(parseEnvironment)).toEqual([
      { kind: "shared", name: "convex-preview" },
      { kind: "none" },
      { kind: "per-preview" },
      { kind: "shared", name: "Preview (QA)" },
    ]);
    for (const bad of ["a\nb", "a,b", "x".repeat(256)]) {
      expect(() => parseEnvironment(bad)).toThrow("github-environment");
    }
  });
});

describe("pull requests in any order, with runs that end anywhere", () => {
  const step = fc.record({
    number: fc.integer({ min: 1, max: 3 }),
    what: fc.constantFrom("up" as const, "fail" as const, "down" as const),
    /** The write at which the run is cut off; most runs end well. */
    cut: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 2 }),
  });
  it("leave one deployment for each preview that is up, and one comment", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 10 }), fc.subarray([1, 2, 3]), async (steps, open) => {
        await using to = await talk();
        const run = async (number: number, what: "up" | "fail" | "down", cut?: number): Promise<void> => {
          const preview = { name: `pr-${number}`, number };
          const { made } = teller(to);
          to.api.failWritesAfter = cut;
          if (what === "down") await made.removed(preview, "x");
          else {
            void made.queued(preview, COMMIT);
            void made.started(preview);
            if (what === "up") await made.ready(preview, { ...FACTS, url: `https://pr-${number}.example.com` });
            else await made.failed(preview, new ActionError("push-failed", "It broke.", "Fix it."), { commit: COMMIT });
          }
          to.api.failWritesAfter = undefined;
        };
        for (const { number, what, cut } of steps) await run(number, what, cut);
        for (const number of [1, 2, 3]) await run(number, open.includes(number) ? "up" : "down");
        const active = to.api.state.deployments.filter(({ statuses }) => statuses.at(-1)?.state !== "inactive");
        expect(active.map(({ task }) => task).sort()).toEqual(open.map((number) => `preview:pr-${number}`));
        expect(active.every(({ statuses }) => statuses.at(-1)?.state === "success")).toBe(true);
        const issues = to.api.comments.map(({ issue }) => issue);
        expect(new Set(issues).size).toBe(issues.length);
        for (const { issue, body } of to.api.comments) {
          expect(body.startsWith(open.includes(issue) ? "### ✅" : "Preview removed")).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPullRequest } from "../../../src/github/pull-request.ts";
import { isForeign } from "../../../src/preview/plan.ts";
import { expiryOf, planSweep, type SweepFacts, span } from "../../../src/preview/sweep-plan.ts";
import type { FoundPreview } from "../../../src/preview/target.ts";
import { type PullRequestFields, pullRequestJson, RUN } from "./events.ts";

const NOW = Date.parse("2026-11-27T18:00:00Z");
const HOUR = 3_600_000;
const found = (number: number | undefined, idleHours: number, more: Partial<FoundPreview> = {}): FoundPreview => ({
  name: number === undefined ? "main" : `pr-${number}`,
  repository: "acme/chat",
  ...(number === undefined ? {} : { number }),
  created: new Date(NOW - 1000 * HOUR),
  lastUp: new Date(NOW - idleHours * HOUR),
  running: true,
  ...more,
});
const open = (...all: (number | PullRequestFields)[]) =>
  all.map((one) => readPullRequest(pullRequestJson(typeof one === "number" ? { number: one } : one)));
const plan = (facts: Partial<SweepFacts>) => {
  const made = planSweep({
    repository: "acme/chat",
    found: [],
    open: [],
    now: NOW,
    policy: { drafts: false },
    isForeign: (pullRequest) => isForeign(pullRequest, RUN),
    ...facts,
  });
  return {
    gone: made.remove.map(({ preview, reason }) => `${preview.name} ${reason}`),
    why: made.remove.map(({ why }) => why),
    kept: made.keep.map(({ name }) => name),
  };
};

describe("a sweep", () => {
  it("removes what is closed, expired or over the limit, and says why", () => {
    const made = plan({
      found: [found(1, 1), found(2, 2), found(3, 100), found(4, 5), found(5, 9), found(undefined, 3)],
      open: open(2, 3, 4, 5),
      ttlMs: 72 * HOUR,
      maxPreviews: 3,
    });
    expect(made).toEqual({
      gone: ["pr-1 closed", "pr-3 expired", "pr-5 crowded"],
      why: [
        "pull request 1 is closed",
        "no push or run for 4 days",
        "max-previews allows 3, and it was idle longest (9 hours); the next push or run brings it back",
      ],
      kept: ["pr-4", "main", "pr-2"],
    });
  });
  it("removes what its pull request may not have any more", () => {
    const policy = { drafts: false, label: "preview" };
    const all = open(
      { number: 1, draft: true, labels: ["preview"] },
      { number: 2 },
      { number: 3, labels: ["preview"] },
      { number: 4, from: "mallory/chat" },
    );
    const made = plan({ found: [1, 2, 3, 4].map((number) => found(number, 1)), open: all, policy });
    expect(made.gone).toEqual(["pr-1 unwanted", "pr-2 unwanted"]);
  });
  it("takes nothing for closed when GitHub could not be asked", () => {
    const made = plan({ found: [found(1, 1), found(2, 100)], open: undefined, ttlMs: 72 * HOUR });
    expect(made.gone).toEqual(["pr-2 expired"]);
  });
  it("counts from the last up, with the preview's own time to live first", () => {
    const never = found(1, 0, { created: new Date(NOW - 5 * HOUR) });
    const { lastUp: _, ...unfinished } = never;
    expect(expiryOf(unfinished, NOW, 6 * HOUR)).toBe(NOW + HOUR);
    expect(plan({ found: [unfinished], open: open(1), ttlMs: 5 * HOUR }).gone).toEqual(["pr-1 expired"]);
    expect(plan({ found: [found(1, 5, { ttlMs: 6 * HOUR })], open: open(1), ttlMs: HOUR }).gone).toEqual([]);
    expect(plan({ found: [found(1, 5000)], open: open(1) }).gone).toEqual([]);
  });
  it("leaves what another job is making, and what this one has just made", () => {
    const making = (number: number, minutesAgo: number): FoundPreview => {
      const { lastUp: _, ...one } = found(number, 0, { created: new Date(NOW - minutesAgo * 60_000) });
      return one;
    };
    const all = [found(1, 1), found(2, 2), making(3, 3), making(4, 90)];
    expect(plan({ found: all, open: open(1, 2, 3, 4), maxPreviews: 1 }).gone).toEqual([
      "pr-2 crowded",
      "pr-4 crowded",
      "pr-1 crowded",
    ]);
    // Its pull request may be too new for GitHub's list.
    const made = plan({ found: all, open: open(1, 2), maxPreviews: 3, made: "pr-3" });
    expect(made).toMatchObject({ gone: ["pr-4 closed"], kept: ["pr-2", "pr-1", "pr-3"] });
    expect(
      plan({ found: [making(5, 40), making(6, 0)], open: open(5, 6), maxPreviews: 1, made: "pr-6" }),
    ).toMatchObject({
      gone: ["pr-5 crowded"],
      kept: ["pr-6"],
    });
  });
  it("takes a time of the future for now, so that a wrong clock removes nothing and outlives nothing for ever", () => {
    const future = found(1, -24 * 365);
    expect(plan({ found: [future], open: open(1), ttlMs: HOUR }).gone).toEqual([]);
    expect(expiryOf(future, NOW, HOUR)).toBe(NOW + HOUR);
    expect(plan({ found: [future], open: [] }).gone).toEqual(["pr-1 closed"]);
    expect(plan({ found: [future, found(2, 1)], open: open(1, 2), maxPreviews: 1 }).gone).toEqual(["pr-2 crowded"]);
  });
  it("names times as people do", () => {
    expect([HOUR / 60, HOUR, 3 * HOUR, 47.9 * HOUR, 48 * HOUR].map(span)).toEqual([
      "1 minute",
      "60 minutes",
      "3 hours",
      "47 hours",
      "2 days",
    ]);
  });

  const preview = fc
    .record({
      number: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
      repository: fc.constantFrom("acme/chat", "Acme/Chat", "acme/other", "mallory/chat"),
      idle: fc.integer({ min: -50, max: 200 }),
      ttl: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }),
      never: fc.boolean(),
    })
    .map(({ number, repository, idle, ttl, never }) => {
      const { lastUp, ...made } = found(number, idle, {
        repository,
        ...(ttl === undefined ? {} : { ttlMs: ttl * HOUR }),
      });
      return never || lastUp === undefined ? made : { ...made, lastUp };
    });
  it("never touches another repository's, keeps to the limit, and keeps what nothing speaks against", () => {
    fc.assert(
      fc.property(
        fc.array(preview, { maxLength: 20 }),
        fc.option(fc.subarray([1, 2, 3, 4, 5, 6, 7, 8, 9]), { nil: undefined }),
        fc.option(fc.integer({ min: 0, max: 10 }), { nil: undefined }),
        fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }),
        (all, numbers, maxPreviews, ttl) => {
          const { remove, keep } = planSweep({
            repository: "acme/chat",
            found: all,
            open: numbers === undefined ? undefined : open(...numbers),
            now: NOW,
            policy: { drafts: false },
            isForeign: () => false,
            ...(maxPreviews === undefined ? {} : { maxPreviews }),
            ...(ttl === undefined ? {} : { ttlMs: ttl * HOUR }),
          });
          const own = all.filter((one) => one.repository.toLowerCase() === "acme/chat");
          const gone = remove.map((one) => one.preview);
          expect(new Set([...gone, ...keep])).toEqual(new Set(own));
          expect(gone.length + keep.length).toBe(own.length);
          if (maxPreviews !== undefined) expect(keep.length).toBeLessThanOrEqual(maxPreviews);
          for (const { preview: one, reason } of remove) {
            if (reason === "closed") expect(numbers?.includes(one.number ?? 0)).toBe(false);
            if (reason === "expired")
              expect(expiryOf(one, NOW, ttl === undefined ? undefined : ttl * HOUR)).toBeLessThanOrEqual(NOW);
            if (reason !== "crowded") continue;
            // Nothing that stays was idle longer.
            const since = (which: FoundPreview): number => Math.min((which.lastUp ?? which.created).getTime(), NOW);
            expect(keep.every((other) => since(other) >= since(one))).toBe(true);
            expect(keep).toHaveLength(maxPreviews ?? -1);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

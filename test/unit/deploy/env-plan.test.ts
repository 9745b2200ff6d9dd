import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkPruned,
  type EnvWish,
  envTable,
  fingerprint,
  fitsPattern,
  planEnvironment,
} from "../../../src/deploy/env-plan.ts";

const wish = (changes: Partial<EnvWish> = {}): EnvWish => ({
  wanted: new Map([
    ["A", "1"],
    ["B", "new"],
  ]),
  present: new Map([
    ["B", "old"],
    ["C", "3"],
    ["STRIPE_KEY", "sk"],
  ]),
  prune: true,
  keep: ["STRIPE_*"],
  leftOut: [],
  ...changes,
});

describe("planEnvironment", () => {
  it("adds, changes, removes and leaves", () => {
    expect(planEnvironment(wish())).toEqual({
      add: ["A"],
      change: ["B"],
      remove: ["C"],
      keep: [],
      leave: ["STRIPE_KEY"],
    });
  });
  it("removes nothing without env-prune", () => {
    expect(planEnvironment(wish({ prune: false })).remove).toEqual([]);
  });
  it("never prunes what env-names lists but a fork lacks", () => {
    expect(planEnvironment(wish({ leftOut: ["C"] })).remove).toEqual([]);
  });
  it("puts every name in exactly one list, and applying it gives what is wanted", () => {
    const variables = fc.dictionary(fc.constantFrom("A", "B", "C", "D_1", "D_2"), fc.constantFrom("x", "y", ""));
    fc.assert(
      fc.property(variables, variables, fc.boolean(), fc.subarray(["A", "D_*", "*"]), (want, have, prune, keep) => {
        const wanted = new Map(Object.entries(want));
        const present = new Map(Object.entries(have));
        const plan = planEnvironment({ wanted, present, prune, keep, leftOut: [] });
        const all = [...plan.add, ...plan.change, ...plan.remove, ...plan.keep, ...plan.leave];
        expect(all.toSorted()).toEqual([...new Set([...wanted.keys(), ...present.keys()])].sort());
        const result = new Map(present);
        for (const name of [...plan.add, ...plan.change]) result.set(name, wanted.get(name) ?? "");
        for (const name of plan.remove) result.delete(name);
        for (const [name, value] of wanted) expect(result.get(name)).toBe(value);
        for (const name of plan.leave) expect(result.get(name)).toBe(present.get(name));
        const again = planEnvironment({ wanted, present: result, prune, keep, leftOut: [] });
        expect([...again.add, ...again.change, ...again.remove]).toEqual([]);
      }),
    );
  });
});

describe("fitsPattern", () => {
  it.each([
    ["STRIPE_KEY", "STRIPE_*", true],
    ["STRIPE", "STRIPE_*", false],
    ["MY_STRIPE_KEY", "STRIPE_*", false],
    ["JWKS", "JWKS", true],
    ["JWKS2", "JWKS", false],
    ["AXB", "A.B", false],
  ])("%s and %s: %s", (name, pattern, fits) => {
    expect(fitsPattern(name, pattern)).toBe(fits);
  });
});

describe("checkPruned", () => {
  it("stops where the code reads what would go, and says where", () => {
    expect(() => checkPruned(planEnvironment(wish()), [{ name: "C", file: "convex/a.ts", line: 3 }])).toThrow(
      /C \(convex\/a\.ts:3\)/,
    );
  });
  it("is content with reads of what stays", () => {
    expect(() =>
      checkPruned(planEnvironment(wish()), [{ name: "STRIPE_KEY", file: "convex/a.ts", line: 3 }]),
    ).not.toThrow();
  });
});

describe("envTable", () => {
  it("shows names and fingerprints, never values", () => {
    const secret = wish({ wanted: new Map([["A", "topsecretvalue"]]), present: new Map([["A", "formersecretvalue"]]) });
    const table = envTable(planEnvironment(secret), secret, "key");
    expect(table).toContain(
      `| change | A | \`${fingerprint("key", "A", "formersecretvalue")}\` | \`${fingerprint("key", "A", "topsecretvalue")}\` |`,
    );
    expect(table).not.toContain("secretvalue");
  });
  it("gives other fingerprints under another key", () => {
    expect(fingerprint("a", "N", "v")).not.toBe(fingerprint("b", "N", "v"));
  });
});

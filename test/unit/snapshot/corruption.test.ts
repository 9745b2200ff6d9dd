import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { corrupt, corruptionOf } from "../../support/corrupt.ts";
import { DamageJudge } from "../../support/damage.ts";

const judge = await DamageJudge.of(join(import.meta.dirname, "../../fixtures/snapshots/with-component.zip"));
const { original } = judge;

it("finds random damage, or it has changed nothing", async () => {
  const counts = { found: 0, harmless: 0 };
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const damaged = corrupt(original, corruptionOf(original.length, seed));
      if (!damaged.equals(original)) counts[await judge.judge(damaged)] += 1;
    }),
    { numRuns: 150 },
  );
  expect(counts.found).toBeGreaterThan(counts.harmless);
}, 120_000);

it("finds flipped bits of the end records, or they have changed nothing", async () => {
  for (let at = original.length - 98; at < original.length; at += 1) {
    await judge.judge(corrupt(original, { kind: "flip", at, bit: at % 8 }));
  }
}, 120_000);

import { join } from "node:path";
import { expect, it } from "vitest";
import { corrupt, corruptionOf } from "../../support/corrupt.ts";
import { DamageJudge } from "../../support/damage.ts";

const judge = await DamageJudge.of(join(import.meta.dirname, "../../fixtures/snapshots/with-component.zip"));
const { original } = judge;

it("finds each of 5,000 random damages, or it has changed nothing", async () => {
  let found = 0;
  for (let seed = 0; seed < 5000; seed += 1) {
    const damaged = corrupt(original, corruptionOf(original.length, seed));
    if (!damaged.equals(original) && (await judge.judge(damaged)) === "found") found += 1;
  }
  expect(found).toBeGreaterThan(2500);
});

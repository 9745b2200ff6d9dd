import { describe, expect, it } from "vitest";
import { raceRounds } from "./races.ts";

describe("two deploys at once, fifty times", () => {
  it.each(["equal", "different"] as const)("with %s schemas", async (schemas) => {
    const codes = await raceRounds(50, schemas);
    expect(codes["ok"]).toBeGreaterThanOrEqual(50);
    // Fifty rounds in which nobody lost would prove nothing.
    expect(Object.keys(codes).length).toBeGreaterThan(1);
  });
});

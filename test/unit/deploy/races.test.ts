import { describe, expect, it } from "vitest";
import { raceRounds } from "./races.ts";

describe("two deploys at once", () => {
  it.each(["equal", "different"] as const)(
    "with %s schemas: one is served, as a whole",
    { timeout: 120_000 },
    async (schemas) => {
      const codes = await raceRounds(3, schemas);
      expect(codes["ok"]).toBeGreaterThanOrEqual(3);
    },
  );
});

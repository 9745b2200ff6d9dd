import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeId, encodeId, newId } from "../../standin/ids.ts";

describe("document ids (contract 7.2)", () => {
  it("encodes the computed example", () => {
    const internal = Uint8Array.from({ length: 16 }, (_, i) => i);
    expect(encodeId({ table: 10001, internal })).toBe("j57000820c20a1g7104gm2rc1m70ynr8");
  });

  it.each([
    ["jn7872p1cxvfjjpgycqv66s6258jrhas", 10005],
    ["gg2d9217azwdrvat71z473exe58jrkqb", 516],
    ["hm20y4kvy1arxx7xrdm824kh8n8jsrja", 525],
    ["m02f0j8y749q6fhtv32mear2e18jrc39", 544],
  ])("decodes %s, an id of the real backend", (id, table) => {
    expect(decodeId(id)?.table).toBe(table);
    expect(Buffer.from(decodeId(id)?.internal ?? []).readUInt16BE(14)).toBe(20780);
  });

  it("refuses one changed letter, garbage and other lengths", () => {
    for (const text of [
      "jn7872p1cxvfjjpgycqv66s6258jrhat",
      "",
      "x",
      "jn7872p1cxvfjjpgycqv66s6258jrha",
      "u".repeat(32),
    ]) {
      expect(decodeId(text)).toBeUndefined();
    }
  });

  it("makes ids of 32 letters for every table number that occurs, and reads them back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 128, max: 16383 }), (table) => {
        const id = newId(table);
        return id.length === 32 && decodeId(id)?.table === table;
      }),
    );
  });
});

import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeId, encodeId } from "../../standin/ids.ts";
import { tableNumberOf } from "../../support/scanned.ts";

it("reads the numbers of real ids", () => {
  expect(tableNumberOf("jn7872p1cxvfjjpgycqv66s6258jrhas")).toBe(10005);
  expect(tableNumberOf("j57000820c20a1g7104gm2rc1m70ynr8")).toBe(10001);
  expect(tableNumberOf("kg2000000400000028t00000018jrs0k")).toBe(540);
});

const ids = fc
  .record({ table: fc.integer({ min: 1, max: 2 ** 31 }), internal: fc.uint8Array({ minLength: 16, maxLength: 16 }) })
  .map((id) => ({ ...id, text: encodeId(id) }));

it("agrees with a decoder of its own about every id, of any length", () => {
  fc.assert(fc.property(ids, ({ table, text }) => tableNumberOf(text) === table));
});

it("agrees about every changed letter too", () => {
  const change = fc.record({
    id: ids,
    at: fc.nat({ max: 36 }),
    letter: fc.constantFrom(..."0123456789abcdefghjkmnpqrstvwxyzilouA-é"),
  });
  fc.assert(
    fc.property(change, ({ id, at, letter }) => {
      const place = at % id.text.length;
      const text = `${id.text.slice(0, place)}${letter}${id.text.slice(place + 1)}`;
      expect(tableNumberOf(text)).toBe(decodeId(text)?.table ?? 0);
    }),
    { numRuns: 2000 },
  );
});

it("refuses other lengths", () => {
  for (const text of ["", "garbage", "j".repeat(31), "0".repeat(32), "z".repeat(100)]) {
    expect(tableNumberOf(text)).toBe(0);
  }
});

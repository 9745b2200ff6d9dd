import fc from "fast-check";
import { expect, it } from "vitest";
import { TextSet } from "../../../src/snapshot/text-set.ts";

it("knows a text again, whatever it is, and no other for it", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 3 }), { maxLength: 100 }), (texts) => {
      const set = new TextSet();
      expect(texts.map((text) => set.add(text))).toEqual(texts.map((text, i) => texts.indexOf(text) === i));
    }),
    { numRuns: 30 },
  );
});

it("knows each of 20,000 again, and no other", () => {
  const set = new TextSet();
  const names = Array.from({ length: 20_000 }, (_, i) => `_storage/${i}.bin`);
  expect(names.every((name) => set.add(name))).toBe(true);
  expect(names.some((name) => set.add(name))).toBe(false);
  expect(set.add("_storage/20000.bin")).toBe(true);
});

import { createHash, randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type FileMetadata, StoredFiles } from "../../../src/snapshot/stored-files.ts";

const sha256 = fc.string().map((text) => createHash("sha256").update(text).digest("base64"));
/** What a backend writes, and what looks like it. */
const metadata: fc.Arbitrary<FileMetadata> = fc.record({
  sha256: fc.oneof(sha256, fc.string(), fc.constant(`${"A".repeat(42)}B=`), fc.constant(undefined)),
  size: fc.oneof(fc.nat(), fc.double({ noNaN: true }), fc.constant(undefined)),
  contentType: fc.oneof(fc.constantFrom(null, "text/plain", "image/png"), fc.string()),
  internalId: fc.oneof(fc.uuid(), fc.string(), fc.constant("A".repeat(36)), fc.constant(undefined)),
});

it("gives back what was put in, once", () => {
  fc.assert(
    fc.property(fc.array(metadata, { maxLength: 40 }), (all) => {
      const files = new StoredFiles();
      for (const [i, one] of all.entries()) files.add(`id${i}`, one);
      for (const [i, one] of all.entries()) {
        expect(files.take(`id${i}`)).toEqual(one);
        expect(files.take(`id${i}`)).toBe("seen");
      }
      expect(files.take("other")).toBeUndefined();
    }),
  );
});

it("tells which were never taken, over all pages", () => {
  const files = new StoredFiles();
  const one = { sha256: undefined, contentType: null };
  const ids = Array.from({ length: 5000 }, () => randomUUID());
  for (const [size, internalId] of ids.entries()) files.add(internalId, { ...one, size, internalId });
  for (const [size, id] of ids.entries()) {
    if (size % 1000 !== 7) expect(files.take(id)).toEqual({ ...one, size, internalId: id });
  }
  expect([...files.left()]).toEqual([7, 1007, 2007, 3007, 4007].map((index) => ids[index]));
  expect(files.has(ids[7] ?? "")).toBe(true);
});

import { describe, expect, it } from "vitest";
import { LEAST_PART, MOST_PARTS, PART_SIZES, PartReader, sizeOfPart } from "../../../src/store/parts.ts";
import { bytesOf, streamOf } from "./support.ts";

describe("the sizes of parts", () => {
  it("let an object of 5 TiB through in 10,000 parts, none larger than S3 takes", () => {
    let all = 0;
    for (let number = 1; number <= MOST_PARTS; number += 1) {
      const size = sizeOfPart(number, PART_SIZES);
      expect(size).toBeGreaterThanOrEqual(LEAST_PART);
      expect(size).toBeLessThanOrEqual(5 * 1024 ** 3);
      all += size;
    }
    expect(all).toBeGreaterThanOrEqual(5 * 1024 ** 4);
  });

  it("stay equal up to 62 GiB, for stores that take no others", () => {
    expect(PART_SIZES.even * PART_SIZES.first).toBeGreaterThan(62 * 1024 ** 3);
  });
});

describe("cutting", () => {
  it.each([1, 7, 1000, 4096, 100_000])("gives the same bytes whatever the chunks are (%i)", async (chunk) => {
    const bytes = bytesOf(10_000);
    const reader = new PartReader(streamOf(bytes, chunk), new AbortController().signal);
    const parts: Buffer[] = [];
    for (;;) {
      const buffer = Buffer.alloc(3000);
      const filled = await reader.fill(buffer);
      parts.push(buffer.subarray(0, filled));
      if (filled < buffer.length) break;
    }
    expect(parts.map(({ length }) => length)).toEqual([3000, 3000, 3000, 1000]);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    expect(await reader.fill(Buffer.alloc(5))).toBe(0);
  });
});

import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { release } from "../../../src/system/memory.ts";

describe("memory that is given back", () => {
  it("is empty at once", () => {
    const buffer = Buffer.allocUnsafeSlow(100_000);
    const { buffer: memory } = buffer;
    release(buffer);
    expect([buffer.length, memory.byteLength]).toEqual([0, 0]);
  });

  it("stays where others have a part of it", () => {
    const memory = randomBytes(10);
    const copy = Buffer.from(memory);
    for (const part of [memory.subarray(1), memory.subarray(0, 9), Buffer.from("of the pool")]) release(part);
    expect(memory.equals(copy)).toBe(true);
  });
});

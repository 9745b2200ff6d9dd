import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LinesDigest, murmur } from "../../../src/snapshot/digest.ts";
import { scanPieces } from "../../support/scanned.ts";

function hashOf(bytes: Uint8Array, seed = 0): Buffer {
  const out = new Int32Array(4);
  murmur(bytes, out, seed);
  const hash = Buffer.alloc(16);
  for (const [i, word] of out.entries()) hash.writeInt32LE(word, i * 4);
  return hash;
}

describe("murmur", () => {
  /** The verification of SMHasher: hashes of 0, 0 1, 0 1 2 ... with falling seeds, all of them hashed. */
  it("gives the verification value published for MurmurHash3_x86_128", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const hashes = Array.from(bytes, (_, length) => hashOf(bytes.subarray(0, length), 256 - length));
    expect(hashOf(Buffer.concat(hashes)).readUInt32LE(0)).toBe(0xb3ece62a);
  });

  it("does not depend on where the bytes lie", () => {
    const line = Buffer.from('{"_id":"a","n":1.0}');
    for (let shift = 0; shift < 9; shift += 1) {
      const moved = Buffer.concat([Buffer.alloc(shift, 0xff), line, Buffer.alloc(20, 0xff)]);
      const out = new Int32Array(4);
      murmur(moved.subarray(shift, shift + line.length), out);
      expect(out[0]).toBe(hashOf(line).readInt32LE(0));
    }
  });
});

describe("LinesDigest", () => {
  const digestOf = (lines: readonly string[]): string => {
    const digest = new LinesDigest();
    for (const line of lines) digest.add(line);
    return digest.hex;
  };

  /** None is empty, which the hash of nothing, 0, would not tell. */
  const line = fc.string({ unit: "binary", minLength: 1, maxLength: 80 }).map((text) => text.replace(/[\r\n]/g, "-"));

  it("is the same in any order, and for no other lines", () => {
    fc.assert(
      fc.property(fc.array(line), fc.array(line), (a, b) => {
        expect(digestOf([...a, ...b])).toBe(digestOf([...b.toReversed(), ...a]));
        if (a.toSorted().join("\n") !== b.toSorted().join("\n")) expect(digestOf(a)).not.toBe(digestOf(b));
      }),
    );
  });

  it("is 0 for no lines, and the hash for one", () => {
    expect(digestOf([])).toBe("0".repeat(32));
    const words = [0, 4, 8, 12].map((at) => hashOf(Buffer.from("abc")).readUInt32LE(at));
    expect(digestOf(["abc"])).toBe(words.map((word) => word.toString(16).padStart(8, "0")).join(""));
  });

  it("is what the scanner finds, wherever a line lies and whatever it is", () => {
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const { facts } = scanPieces([Buffer.from(lines.map((each) => `${each}\n`).join(""))]);
        expect(facts.digest).toBe(digestOf(lines));
      }),
      { numRuns: 500 },
    );
  });
});

import { seeded } from "./random.ts";

/** One way in which stored bytes go bad. */
export type Corruption =
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "zeros"; readonly at: number; readonly length: number }
  | { readonly kind: "gap"; readonly at: number; readonly length: number }
  | { readonly kind: "more"; readonly at: number; readonly length: number };

/** Half of them flip one bit, which is the hardest to find; the same seed gives the same one. */
export function corruptionOf(size: number, seed: number): Corruption {
  const random = seeded(seed);
  const at = Math.floor(random() * size);
  const length = 1 + Math.floor(random() * Math.min(512, size - at));
  const others = ["cut", "zeros", "gap", "more"] as const;
  const kind = others[Math.floor(random() * 8)] ?? "flip";
  if (kind === "flip") return { kind, at, bit: Math.floor(random() * 8) };
  return kind === "cut" ? { kind, at } : { kind, at, length };
}

/** A damaged copy. Zeros over zeros change nothing: compare before counting it. */
export function corrupt(bytes: Buffer, corruption: Corruption): Buffer {
  const { kind, at } = corruption;
  if (kind === "cut") return Buffer.from(bytes.subarray(0, at));
  if (kind === "gap") return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + corruption.length)]);
  if (kind === "more") {
    return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(corruption.length, 0x5a), bytes.subarray(at)]);
  }
  const copy = Buffer.from(bytes);
  if (kind === "zeros") return copy.fill(0, at, at + corruption.length);
  copy[at] = (copy[at] ?? 0) ^ (1 << corruption.bit);
  return copy;
}

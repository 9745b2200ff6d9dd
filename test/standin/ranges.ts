/** `Range` headers as M14 answers them (contract 8.2), its oddities included; where it dies the answer is 416. */

export type Range =
  | { kind: "whole" }
  | { kind: "refused" }
  | { kind: "part"; contentRange: string; from: number; to: number };

/** `from` inclusive, `to` exclusive; an empty part has from = to. */
export function readRange(header: string | undefined, size: number): Range {
  if (header === undefined || size === 0 || !header.startsWith("bytes=")) return { kind: "whole" };
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  const [, first = "", last = ""] = match ?? [];
  if (match === null || (first === "" && last === "")) return { kind: "refused" };
  const end = size - 1;
  if (first === "") {
    // M14 takes a suffix for a start below zero, in 64 bits, and sends nothing
    const start = BigInt.asUintN(64, -1n - BigInt(last));
    return { kind: "part", contentRange: `bytes ${start}-${end}/${size}`, from: 0, to: 0 };
  }
  const start = Number(first);
  if (last === "") {
    const from = Math.min(start, size);
    return { kind: "part", contentRange: `bytes ${first}-${end}/${size}`, from, to: size };
  }
  const stop = Number(last);
  if (stop < start || !Number.isSafeInteger(stop)) return { kind: "refused" };
  return {
    kind: "part",
    contentRange: `bytes ${first}-${last}/${size}`,
    from: Math.min(start, size),
    to: Math.min(stop + 1, size),
  };
}

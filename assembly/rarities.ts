// What is seldom asked, and answered by src/snapshot/rarities.ts: each about the bytes from `start` to `end`.

/** Asked once for each piece; for single lines only where the whole was not. */
export declare function isUtf8(start: usize, end: usize): bool;

/** Flags of a number with many digits or a large exponent. */
export declare function judgeNumber(start: usize, end: usize, integer: bool): i32;

/** Whether a number that begins with 0 is more than that. */
export declare function isPositive(start: usize, end: usize): bool;

/** Whether an object whose names do not ascend has one of them twice, however it is written. */
export declare function repeatsName(start: usize, end: usize): bool;

/** Whether `"$bytes":"..."` or one of its like has a valid value; `start` is behind the dollar. */
export declare function isWrappedValue(start: usize, end: usize): bool;

/** A line for a reader that wants to see each. */
export declare function handOver(
  start: usize,
  end: usize,
  flags: i32,
  idStart: usize,
  idEnd: usize,
  idTable: f64,
): void;

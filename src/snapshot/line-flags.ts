/** What a line of a table can have, as bits. */
export const FLAG = {
  broken: 1 << 0,
  notObject: 1 << 1,
  keyTwice: 1 << 2,
  reserved: 1 << 3,
  fieldName: 1 << 4,
  underscore: 1 << 5,
  badValue: 1 << 6,
  tooDeep: 1 << 7,
  arrayTooLong: 1 << 8,
  objectTooLarge: 1 << 9,
  numberTooLarge: 1 << 10,
  integerTooLarge: 1 << 11,
  foreignNumber: 1 << 12,
  timeInteger: 1 << 13,
  timeMissing: 1 << 14,
  timeInvalid: 1 << 15,
  idMissing: 1 << 16,
  idInvalid: 1 << 17,
  /** `$bytes`, `$float` or `$integer`, rightly used: refused under the encoding before 2026-03-11. */
  wrapped: 1 << 18,
  /** An integer anywhere; that and `wrapped` do not survive an import without generated_schema.jsonl. */
  integer: 1 << 19,
} as const;

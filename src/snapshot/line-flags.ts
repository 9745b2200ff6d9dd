// What a line of a table can have, as bits, in the order in which they are told. Read by TypeScript and by AssemblyScript.

export const unfinished = 1 << 0;
export const bom = 1 << 1;
export const empty = 1 << 2;
export const tooLong = 1 << 3;
export const notUtf8 = 1 << 4;
/** `$bytes`, `$float` or `$integer`, rightly used: refused under the encoding before 2026-03-11. */
export const wrapped = 1 << 5;
export const broken = 1 << 6;
export const notObject = 1 << 7;
export const keyTwice = 1 << 8;
export const reserved = 1 << 9;
export const fieldName = 1 << 10;
export const underscore = 1 << 11;
export const badValue = 1 << 12;
export const tooDeep = 1 << 13;
export const arrayTooLong = 1 << 14;
export const objectTooLarge = 1 << 15;
export const numberTooLarge = 1 << 16;
export const integerTooLarge = 1 << 17;
export const foreignNumber = 1 << 18;
export const timeInteger = 1 << 19;
export const timeMissing = 1 << 20;
export const timeInvalid = 1 << 21;
export const idMissing = 1 << 22;
export const idInvalid = 1 << 23;
/** The table number of `_id` is not that of the first document. */
export const idNumber = 1 << 24;
/** `_id` is that of the line before. */
export const idTwice = 1 << 25;
/** An integer anywhere; that and `wrapped` do not survive an import without generated_schema.jsonl. */
export const integer = 1 << 26;

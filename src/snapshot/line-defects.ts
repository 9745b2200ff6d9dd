import type { DefectKind } from "./defects.ts";
import * as FLAG from "./line-flags.ts";

/** What is wrong with a line without looking at what it says. */
export const KINDS_OF_LINES: readonly (readonly [number, DefectKind])[] = [
  [FLAG.unfinished, "line-unfinished"],
  [FLAG.bom, "bom"],
  [FLAG.empty, "line-empty"],
  [FLAG.tooLong, "line-too-long"],
  [FLAG.notUtf8, "not-utf8"],
];
/** All kinds by their flags, in the order of these. */
export const KINDS_OF_FLAGS: readonly (readonly [number, DefectKind])[] = [
  ...KINDS_OF_LINES,
  [FLAG.wrapped, "value-old-encoding"],
  [FLAG.broken, "json-broken"],
  [FLAG.notObject, "json-not-object"],
  [FLAG.keyTwice, "key-twice"],
  [FLAG.reserved, "field-reserved"],
  [FLAG.fieldName, "field-name"],
  [FLAG.underscore, "field-underscore"],
  [FLAG.badValue, "value-invalid"],
  [FLAG.tooDeep, "value-too-deep"],
  [FLAG.arrayTooLong, "array-too-long"],
  [FLAG.objectTooLarge, "object-too-large"],
  [FLAG.numberTooLarge, "number-too-large"],
  [FLAG.integerTooLarge, "integer-too-large"],
  [FLAG.foreignNumber, "number-foreign"],
  [FLAG.timeInteger, "creation-time-integer"],
  [FLAG.timeMissing, "creation-time-missing"],
  [FLAG.timeInvalid, "creation-time-invalid"],
  [FLAG.idMissing, "id-missing"],
  [FLAG.idInvalid, "id-invalid"],
  [FLAG.idNumber, "id-number"],
  [FLAG.idTwice, "id-twice"],
];

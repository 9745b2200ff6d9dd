import * as FLAG from "../src/snapshot/line-flags";
import { tableNumber } from "./identity";
import { Line } from "./line";
import { NINE, ZERO } from "./number";
import { isPositive } from "./rarities";
import { QUOTE } from "./text";

export const UNDERSCORE: u8 = 0x5f;
/** `_id`, and `_creationTime` in its first and last eight letters. */
const ID: u32 = 0x64695f;
const ID_LENGTH: usize = 3;
const CREATION: u64 = 0x6f6974616572635f;
const TIME: u64 = 0x656d69546e6f6974;
const TIME_LENGTH: usize = 13;

/** The field of the outermost object whose value was just read, which ends at `end`. */
export function systemField(name: usize, nameEnd: usize, end: usize): void {
  const value = Line.systemValue;
  const length = nameEnd - name;
  Line.systemValue = 0;
  if (length === ID_LENGTH && (load<u32>(name) & 0xffffff) === ID) takeId(value, end);
  else if (length === TIME_LENGTH && load<u64>(name) === CREATION && load<u64>(name, 5) === TIME) takeTime(value, end);
  else Line.flags |= FLAG.underscore;
}

function takeId(value: usize, end: usize): void {
  Line.idStart = value + 1;
  Line.idEnd = end - 1;
  Line.idTable = load<u8>(value) === QUOTE ? tableNumber(value + 1, end - 1) : 0;
  if (Line.idTable === 0) Line.flags |= FLAG.idInvalid;
}

function takeTime(value: usize, end: usize): void {
  Line.timeSeen = true;
  const first = load<u8>(value);
  // what begins with 1 to 9 is a number above 0; few begin otherwise
  const positive = first > ZERO ? first <= NINE : first === ZERO && isPositive(value, end);
  if (!positive) Line.flags |= FLAG.timeInvalid;
  if (Line.integer) Line.flags |= FLAG.timeInteger;
}

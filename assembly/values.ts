import * as FLAG from "../src/snapshot/line-flags";
import { Line } from "./line";
import { MINUS, NINE, numberEnd, ZERO } from "./number";
import { isWrappedValue, repeatsName } from "./rarities";
import { systemField, UNDERSCORE } from "./system-field";
import { BACKSLASH, blanksEnd, escapeEnd, FAIL, less, literalEnd, plainNameEnd, QUOTE, SPACE, stringEnd } from "./text";

const DOLLAR: u8 = 0x24;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const OPEN_ARRAY: u8 = 0x5b;
export const OPEN: u8 = 0x7b;
/** From what opens an array or object to what closes it. */
const CLOSE: u8 = 2;

const DEEPEST: i32 = 64;
/** Levels far beyond the limit are not even read. */
const MOST_LEVELS: i32 = 4 * DEEPEST;
const LONGEST_ARRAY: u32 = 8192;
const MOST_FIELDS: u32 = 1024;
/** `":`, `:"` and the names of wrapped values, as numbers. */
const NAME_COLON: u16 = 0x3a22;
const COLON_TEXT: u16 = 0x223a;
const BYTES: u64 = 0x2273657479622422;
const FLOAT: u64 = 0x2274616f6c662422;
const INTEG: u64 = 0x656765746e692422;
const ER_COLON_TEXT: u32 = 0x223a2272;

/** Of an open array or object: where it begins, elements or fields so far. */
const OPENED: usize = 0;
const COUNT: usize = 4;
/** The last field's name without its quotes; 0 in an array and before the first. */
const NAME: usize = 8;
const NAME_END: usize = 12;
/** 1 while each name was greater than the one before, so that none can be there twice. */
const ASCENDING: usize = 16;
const ARRAY: usize = 20;
const FRAME: usize = 32;
const FRAMES: usize = memory.data(32 * (4 * 64 + 2), 16);

/** Opens the outermost object, behind two fields of which the last is `_id`. */
export function openUsual(start: usize, id: usize): void {
  openFrame(FRAMES, start, false);
  store<u32>(FRAMES, 2, COUNT);
  store<u32>(FRAMES, <u32>(id - 6), NAME);
  store<u32>(FRAMES, <u32>(id - 3), NAME_END);
}

function openFrame(frame: usize, start: usize, array: bool): void {
  store<u32>(frame, <u32>start, OPENED);
  store<u32>(frame, 1, COUNT);
  store<u32>(frame, 0, NAME);
  store<u32>(frame, 1, ASCENDING);
  store<u32>(frame, <u32>array, ARRAY);
}

/**
 * Reads to the end of the outermost value, from the place of a value or, with `behind`, from behind one in the outermost
 * object. This and all below return the place behind what they read, or FAIL.
 */
export function valuesEnd(start: usize, behind: bool): usize {
  let level = behind ? 0 : -1;
  let frame = behind ? FRAMES : FRAMES - FRAME;
  let at = start;
  let first = !behind;
  while (true) {
    if (first) {
      const byte = load<u8>(at);
      if (byte === QUOTE) at = stringEnd(at + 1);
      else if (byte === MINUS || (byte >= ZERO && byte <= NINE)) at = numberEnd(at);
      else if (byte === OPEN || byte === OPEN_ARRAY) {
        const inside = blanksEnd(at + 1);
        const wrapped = byte === OPEN && load<u8>(inside, 1) === DOLLAR ? wrappedEnd(inside) : FAIL;
        if (load<u8>(inside) === byte + CLOSE) at = inside + 1;
        else if (wrapped !== FAIL) at = wrapped;
        else {
          level += 1;
          if (level > DEEPEST) Line.flags |= FLAG.tooDeep;
          if (level > MOST_LEVELS) return FAIL;
          frame += FRAME;
          openFrame(frame, at, byte === OPEN_ARRAY);
          at = byte === OPEN ? fieldValue(inside, frame) : inside;
          if (at === FAIL) return FAIL;
          continue;
        }
      } else at = literalEnd(at);
      if (at === FAIL) return FAIL;
    }
    while (true) {
      if (level <= 0) {
        if (level < 0) return at;
        if (Line.systemValue !== 0) systemField(load<u32>(frame, NAME), load<u32>(frame, NAME_END), at);
      }
      if (load<u8>(at) <= SPACE) at = blanksEnd(at);
      const byte = load<u8>(at);
      const array = load<u32>(frame, ARRAY) !== 0;
      at += 1;
      if (byte === COMMA) {
        first = true;
        store<u32>(frame, load<u32>(frame, COUNT) + 1, COUNT);
        if (load<u8>(at) <= SPACE) at = blanksEnd(at);
        if (!array) at = fieldValue(at, frame);
        if (at === FAIL) return FAIL;
        break;
      }
      if (byte !== (array ? OPEN_ARRAY + CLOSE : OPEN + CLOSE)) return FAIL;
      if (load<u32>(frame, COUNT) > MOST_FIELDS || load<u32>(frame, ASCENDING) === 0) judge(frame, at, array);
      level -= 1;
      frame -= FRAME;
    }
  }
}

/** An array or object with too many elements or fields, or with names that do not ascend. */
function judge(frame: usize, end: usize, array: bool): void {
  const count = load<u32>(frame, COUNT);
  if (array) {
    if (count > LONGEST_ARRAY) Line.flags |= FLAG.arrayTooLong;
    return;
  }
  // no need to hold a million names for it, nor to look at what is around a name that is there twice
  if (count > MOST_FIELDS) Line.flags |= FLAG.objectTooLarge;
  else if ((Line.flags & FLAG.keyTwice) === 0 && repeatsName(load<u32>(frame, OPENED), end)) {
    Line.flags |= FLAG.keyTwice;
  }
}

/** Behind `"$bytes":"..."}` or one of its like; FAIL when it is an object like any other, whose name is refused. */
function wrappedEnd(start: usize): usize {
  const name = load<u64>(start);
  let text: usize = 0;
  if ((name === BYTES || name === FLOAT) && load<u16>(start, 8) === COLON_TEXT) text = start + 10;
  else if (name === INTEG && load<u32>(start, 8) === ER_COLON_TEXT) text = start + 12;
  else return FAIL;
  const end = stringEnd(text);
  if (end === FAIL || load<u8>(end) !== OPEN + CLOSE) return FAIL;
  Line.flags |= isWrappedValue(start + 2, end) ? FLAG.wrapped : FLAG.wrapped | FLAG.badValue;
  return end + 1;
}

/** The place of a field's value; its name and its colon as nearly all are, or whatever they look like. */
function fieldValue(start: usize, frame: usize): usize {
  const name = start + 1;
  const end = plainNameEnd(name);
  const letter = load<u8>(name);
  const usual =
    load<u8>(start) === QUOTE &&
    load<u16>(end) === NAME_COLON &&
    letter > DOLLAR &&
    letter !== UNDERSCORE &&
    load<u8>(end, 2) > SPACE;
  if (!usual || !follows(load<u32>(frame, NAME), load<u32>(frame, NAME_END), name, end)) return anyField(start, frame);
  store<u32>(frame, <u32>name, NAME);
  store<u32>(frame, <u32>end, NAME_END);
  return end + 2;
}

/** Whether a name is greater than the one before, 0 when there is none. */
function follows(before: usize, beforeEnd: usize, name: usize, end: usize): bool {
  if (before === 0) return true;
  // eight letters at once decide only within this name; the other one's quote is less than any letter that differs there
  const differing = load<u64>(before) ^ load<u64>(name);
  const first = <usize>(ctz(differing) >> 3);
  if (differing !== 0 && first < end - name && load<u8>(name + first) > load<u8>(before + first)) return true;
  return less(before, beforeEnd, name, end);
}

function anyField(start: usize, frame: usize): usize {
  if (load<u8>(start) !== QUOTE) return FAIL;
  const name = start + 1;
  const end = nameEnd(name);
  if (end === FAIL) return FAIL;
  const before = load<u32>(frame, NAME);
  if (before !== 0 && !less(before, load<u32>(frame, NAME_END), name, end)) store<u32>(frame, 0, ASCENDING);
  store<u32>(frame, <u32>name, NAME);
  store<u32>(frame, <u32>end, NAME_END);
  const colon = blanksEnd(end + 1);
  if (load<u8>(colon) !== COLON) return FAIL;
  const value = blanksEnd(colon + 1);
  if (frame === FRAMES && load<u8>(name) === UNDERSCORE) Line.systemValue = value;
  return value;
}

/** The closing quote of a field's name. */
function nameEnd(start: usize): usize {
  if (load<u8>(start) === DOLLAR) Line.flags |= FLAG.reserved;
  let at = plainNameEnd(start);
  for (let byte = load<u8>(at); byte !== QUOTE; byte = load<u8>(at)) {
    if (byte < SPACE) return FAIL;
    let refused = true;
    if (byte !== BACKSLASH) at += 1;
    else {
      // only `"` and `\\` come escaped, other escapes stand for characters that no name may have
      const escaped = load<u8>(at, 1);
      refused = escaped !== QUOTE && escaped !== BACKSLASH;
      at = escapeEnd(at);
      if (at === FAIL) return FAIL;
    }
    if (refused) Line.flags |= FLAG.fieldName;
    at = plainNameEnd(at);
  }
  return at;
}

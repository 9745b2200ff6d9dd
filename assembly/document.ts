import * as FLAG from "../src/snapshot/line-flags";
import { tableNumber, USUAL_LENGTH } from "./identity";
import { Line } from "./line";
import { NINE, POINT, ZERO } from "./number";
import { blanksEnd, digitsEnd, FAIL, QUOTE } from "./text";
import { OPEN, openUsual, valuesEnd } from "./values";

const NEWLINE: u8 = 0x0a;
const COLON: u8 = 0x3a;
/** `{"_creationTime"` and `,"_id":"` as numbers. */
const CREA: u64 = 0x74616572635f227b;
const TIME: u64 = 0x22656d69546e6f69;
const ID: u64 = 0x223a2264695f222c;
const VALUE: usize = 17;
/** More digits would have to be looked at as a number. */
const LONGEST_TIME: usize = 300;

/**
 * Reads one line of JSON in one go: whether it is valid, and everything in it that a restore would refuse or change.
 * UTF-8 is checked elsewhere. The place of its line break, or FAIL when it is no valid JSON up to there.
 */
export function lineEnd(start: usize): usize {
  Line.begin();
  const usual = usualStart(start);
  if (usual !== FAIL) return finish(valuesEnd(usual, true), true);
  const first = blanksEnd(start);
  return finish(valuesEnd(first, false), load<u8>(first) === OPEN);
}

function finish(valueEnd: usize, object: bool): usize {
  const end = valueEnd === FAIL ? FAIL : blanksEnd(valueEnd);
  if (end === FAIL || load<u8>(end) !== NEWLINE) {
    const tooDeep = object && (Line.flags & FLAG.tooDeep) !== 0;
    Line.flags = tooDeep ? FLAG.tooDeep : Line.flags | FLAG.broken;
    return FAIL;
  }
  if (!object) Line.flags |= FLAG.notObject;
  else {
    if (Line.idStart === 0) Line.flags |= FLAG.idMissing;
    if (!Line.timeSeen) Line.flags |= FLAG.timeMissing;
  }
  return end;
}

/**
 * `{"_creationTime":1795409831284.8787,"_id":"..."` in one go: nearly every line begins so. The place behind the id's
 * quote, or FAIL when the line has another form, right or wrong.
 */
function usualStart(start: usize): usize {
  if (load<u64>(start) !== CREA || load<u64>(start, 8) !== TIME || load<u8>(start, 16) !== COLON) return FAIL;
  const first = load<u8>(start, VALUE);
  const point = digitsEnd(start + VALUE);
  if (first <= ZERO || first > NINE || load<u8>(point) !== POINT) return FAIL;
  const end = digitsEnd(point + 1);
  const id = end + 8;
  const whole = load<u64>(end) === ID && end !== point + 1 && end - start <= LONGEST_TIME;
  if (!whole || load<u8>(id + USUAL_LENGTH) !== QUOTE) return FAIL;
  const table = tableNumber(id, id + USUAL_LENGTH);
  if (table === 0) return FAIL;
  Line.idTable = table;
  Line.idStart = id;
  Line.idEnd = id + USUAL_LENGTH;
  Line.timeSeen = true;
  openUsual(start, id);
  return id + USUAL_LENGTH + 1;
}

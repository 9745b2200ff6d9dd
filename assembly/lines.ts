import * as FLAG from "../src/snapshot/line-flags";
import { lineEnd } from "./document";
import { Line } from "./line";
import { handOver, isUtf8 } from "./rarities";
import { Table } from "./table";
import { FAIL } from "./text";

export { tableNumber } from "./identity";
export { digest, documents, firstLine, flags, lines, linesWith, number, unordered } from "./table";

const NEWLINE: u8 = 0x0a;
const RETURN: u8 = 0x0d;
/** The first three bytes of a byte order mark. */
const MARK: u32 = 0xbfbbef;
/**
 * A document has 1 MiB at most; written as JSON, with every character escaped, it may be six times as long. Shorter
 * documents are not judged: the backend counts bytes of its own encoding, which a line does not show, and what it has
 * exported was within its limit.
 */
const LONGEST_LINE: usize = 8 * 1024 * 1024;
/** What reads a line may look as many bytes beyond its line break. */
const READ_BEHIND: usize = 64;
const PAGE: usize = 65536;

/** Where pieces are put, behind the beginning of a line whose end has not arrived yet. Nothing else lies behind it. */
const PLACE: usize = __heap_base;
/** Bytes of that beginning. */
let filled: usize = 0;
/** In the middle of a line that is too long. */
let skipping = false;
/** Each line is handed over, too. */
let handingOver = false;

/** Forgets all that was read. */
export function begin(handOverEach: bool): void {
  handingOver = handOverEach;
  filled = 0;
  skipping = false;
  Table.begin();
}

/** Where to put the next piece, 0 when there is no memory for it. It grows to the longest line and no further. */
export function place(length: usize): usize {
  const needed = PLACE + filled + length + READ_BEHIND;
  const pages = <i32>((needed + PAGE - 1) / PAGE) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) return 0;
  return PLACE + filled;
}

/** Reads all lines that end within the piece that was just put. */
export function push(length: usize): void {
  const piece = PLACE + filled;
  const end = piece + length;
  let start = PLACE;
  if (skipping) {
    const newline = newlineAt(piece, end);
    if (newline === end) return;
    skipping = false;
    start = newline + 1;
  }
  let last = end;
  while (last > piece && load<u8>(last - 1) !== NEWLINE) last -= 1;
  if (last > piece) takeLines(start, last, 0);
  else last = start;
  filled = end - last;
  if (filled > LONGEST_LINE + READ_BEHIND) skipLine();
  else if (last > PLACE) memory.copy(PLACE, last, filled);
}

/** The rest is a line, too. */
export function end(): void {
  if (filled === 0) return;
  store<u8>(PLACE + filled, NEWLINE);
  takeLines(PLACE, PLACE + filled + 1, FLAG.unfinished);
  filled = 0;
}

function skipLine(): void {
  Table.lines += 1;
  take(PLACE, PLACE, FLAG.tooLong);
  filled = 0;
  skipping = true;
}

/** All lines up to `end`, which is behind a line break. */
function takeLines(start: usize, end: usize, before: i32): void {
  const valid = isUtf8(start, end);
  for (let at = start; at < end; ) {
    const read = lineEnd(at);
    const newline = read === FAIL ? newlineAt(at, end) : read;
    const stop = newline > at && load<u8>(newline - 1) === RETURN ? newline - 1 : newline;
    Table.lines += 1;
    let flags = before;
    if (Table.lines === 1 && (load<u32>(at) & 0xffffff) === MARK) flags |= FLAG.bom;
    if (stop === at) flags |= FLAG.empty;
    else if (stop - at > LONGEST_LINE) flags |= FLAG.tooLong;
    else {
      if (!valid && !isUtf8(at, stop)) flags |= FLAG.notUtf8;
      flags |= Table.add(at, stop);
    }
    if (flags !== 0 || handingOver) take(at, stop, flags);
    at = newline + 1;
  }
}

function take(start: usize, end: usize, flags: i32): void {
  Table.note(flags);
  if (handingOver) handOver(start, end, flags, Line.idStart, Line.idEnd, Line.idTable);
}

/** The next line break, or `end`. */
function newlineAt(start: usize, end: usize): usize {
  let at = start;
  while (at < end && load<u8>(at) !== NEWLINE) at += 1;
  return at;
}

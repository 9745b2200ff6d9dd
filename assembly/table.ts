import * as FLAG from "../src/snapshot/line-flags";
import { Digest } from "./digest";
import { Line } from "./line";

/** A broken line lacks everything; one flag says it. */
const BROKEN: i32 = FLAG.broken | FLAG.notObject;
const HARMLESS: i32 = FLAG.wrapped | FLAG.integer;

/** Of each flag: the first line that has it and how many have it, as f64. */
const FOUND: usize = memory.data(16 * 32, 16);
const ID_BEFORE: usize = memory.data(48, 16);

/** What the lines read so far have, all together. */
export class Table {
  static lines: f64 = 0;
  static documents: f64 = 0;
  /** All flags of all lines. */
  static flags: i32 = 0;
  /** Table number of the ids; 0 without any valid one. */
  static number: f64 = 0;
  /** Ids do not ascend as in what a backend writes, so one may be there twice. */
  static unordered: bool = false;
  static idLength: usize = 0;

  static begin(): void {
    Table.lines = 0;
    Table.documents = 0;
    Table.flags = 0;
    Table.number = 0;
    Table.unordered = false;
    Table.idLength = 0;
    Digest.begin();
    memory.fill(FOUND, 0, 16 * 32);
  }

  /** Counts the line that was just read. */
  static add(start: usize, end: usize): i32 {
    Table.documents += 1;
    Digest.add(start, end);
    const read = Line.flags;
    const flags = (read & BROKEN) === 0 ? read : read & (BROKEN | HARMLESS);
    return Line.idTable === 0 ? flags : flags | Table.addId();
  }

  static note(flags: i32): void {
    Table.flags |= flags;
    for (let rest = flags & ~FLAG.integer; rest !== 0; rest &= rest - 1) {
      const found = FOUND + 16 * ctz(rest);
      if (load<f64>(found, 8) === 0) store<f64>(found, Table.lines);
      store<f64>(found, load<f64>(found, 8) + 1, 8);
    }
  }

  static addId(): i32 {
    let flags = 0;
    if (Table.number === 0) Table.number = Line.idTable;
    else if (Table.number !== Line.idTable) flags |= FLAG.idNumber;
    const id = Line.idStart;
    const length = Line.idEnd - id;
    const order = Table.idLength === 0 ? 1 : compare(id, length, Table.idLength);
    if (order === 0) flags |= FLAG.idTwice;
    else if (order < 0) Table.unordered = true;
    v128.store(ID_BEFORE, v128.load(id));
    v128.store(ID_BEFORE, v128.load(id, 16), 16);
    if (length > 32) v128.store(ID_BEFORE, v128.load(id, 32), 32);
    Table.idLength = length;
    return flags;
  }
}

/** More than 0 when the id is greater than the one before, 0 when it is the same. */
function compare(id: usize, length: usize, before: usize): i32 {
  const shorter = min(length, before);
  for (let i: usize = 0; i < shorter; i += 8) {
    const differing = load<u64>(id + i) ^ load<u64>(ID_BEFORE + i);
    const place = i + <usize>(ctz(differing) >> 3);
    if (differing === 0) continue;
    if (place >= shorter) break;
    return <i32>load<u8>(id + place) - <i32>load<u8>(ID_BEFORE + place);
  }
  return <i32>length - <i32>before;
}

export function lines(): f64 {
  return Table.lines;
}

export function documents(): f64 {
  return Table.documents;
}

export function flags(): i32 {
  return Table.flags;
}

export function number(): f64 {
  return Table.number;
}

export function unordered(): bool {
  return Table.unordered;
}

/** The first line with a flag, given as the number of its bit. */
export function firstLine(bit: i32): f64 {
  return load<f64>(FOUND + 16 * bit);
}

export function linesWith(bit: i32): f64 {
  return load<f64>(FOUND + 16 * bit, 8);
}

/** One of the four words of the digest. */
export function digest(word: i32): u32 {
  switch (word) {
    case 0:
      return Digest.a;
    case 1:
      return Digest.b;
    case 2:
      return Digest.c;
    default:
      return Digest.d;
  }
}

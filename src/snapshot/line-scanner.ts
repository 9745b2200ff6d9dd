import { tableNumberOf } from "./document-id.ts";
import { repeatsName } from "./field-names.ts";
import {
  blanksEnd,
  digitsEnd,
  escapeEnd,
  FAIL,
  literalEnd,
  plainNameEnd,
  QUOTE,
  stringEnd,
  textOf,
} from "./json-text.ts";
import { FLAG } from "./line-flags.ts";
import { ID_LENGTH, usualIdPlace } from "./usual-start.ts";
import { wrappedValue } from "./wrapped-value.ts";

const NEWLINE = 0x0a;
const DOLLAR = 0x24;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const UNDERSCORE = 0x5f;
const LETTER_E = 0x65;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const SPACE = 0x20;

const DEEPEST = 64;
/** Levels far beyond the limit are not even read. */
const MOST_LEVELS = 4 * DEEPEST;
const LONGEST_ARRAY = 8192;
const MOST_FIELDS = 1024;
/** `":` */
const NAME_COLON = 0x3a22;
/** Integers of up to as many digits have 64 bits; other numbers can only be too large with many more, or an exponent. */
const SAFE_DIGITS = 18;
const SAFE_FLOAT = 300;

// Of each open array or object; one for all scanners, since none stops in the middle of a line.
/** Where it begins. */
const opened = new Int32Array(MOST_LEVELS + 2);
/** Elements or fields so far. */
const counts = new Int32Array(MOST_LEVELS + 2);
/** The last field's name without its quotes; 0 in an array. */
const nameStarts = new Int32Array(MOST_LEVELS + 2);
const nameEnds = new Int32Array(MOST_LEVELS + 2);
/** Whether each name was greater than the one before, so that none can be there twice. */
const ascending = new Uint8Array(MOST_LEVELS + 2);

/**
 * Reads one line of JSON at a time, as bytes, in one go: whether it is valid, and everything in it that a restore would
 * refuse or change. JSON.parse would take three times as long and hide what matters most: `1.0` beside `1`, one key twice.
 * UTF-8 is checked elsewhere. The memory must hold a line break behind the line, and READ_BEHIND more bytes.
 */
export class LineScanner {
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** The innermost array or object; -1 outside of all. */
  #level = -1;
  /** Whether the last number had neither point nor exponent. */
  #integer = false;
  /** Value of the system field that is being read, else 0. */
  #systemValue = 0;
  #timeSeen = false;

  /** What the last line has, see FLAG. */
  flags = 0;
  /** Where the top-level `_id` is, between its quotes; -1 when there is none. */
  idStart = -1;
  idEnd = -1;
  /** Table number of `_id`, 0 when it is not valid. */
  idTable = 0;

  /** The place of the line break, or FAIL when the line is no valid JSON up to there. */
  scan(bytes: Uint8Array, view: DataView, start: number): number {
    this.#bytes = bytes;
    this.#view = view;
    this.flags = 0;
    this.idStart = -1;
    this.idTable = 0;
    this.#level = -1;
    this.#integer = false;
    this.#systemValue = 0;
    this.#timeSeen = false;
    const usual = this.#usualStart(start);
    if (usual !== FAIL) return this.#finish(this.#values(usual, true), true);
    const first = blanksEnd(view, start);
    return this.#finish(this.#values(first, false), view.getUint8(first) === OPEN);
  }

  /** Lets the memory of the lines go. */
  release(): void {
    this.#bytes = new Uint8Array(0);
    this.#view = new DataView(new ArrayBuffer(0));
  }

  #finish(valueEnd: number, object: boolean): number {
    const end = valueEnd < 0 ? FAIL : blanksEnd(this.#view, valueEnd);
    if (end < 0 || this.#view.getUint8(end) !== NEWLINE) {
      this.flags = object && (this.flags & FLAG.tooDeep) !== 0 ? FLAG.tooDeep : this.flags | FLAG.broken;
      return FAIL;
    }
    if (!object) this.flags |= FLAG.notObject;
    else {
      if (this.idStart < 0) this.flags |= FLAG.idMissing;
      if (!this.#timeSeen) this.flags |= FLAG.timeMissing;
    }
    return end;
  }

  /** The place behind the id of a line that begins as nearly all do, or FAIL when it has another form, right or wrong. */
  #usualStart(start: number): number {
    const id = usualIdPlace(this.#view, start);
    const table = id === FAIL ? 0 : tableNumberOf(this.#bytes, id, id + ID_LENGTH);
    if (table === 0) return FAIL;
    this.idTable = table;
    this.idStart = id;
    this.idEnd = id + ID_LENGTH;
    this.#timeSeen = true;
    this.#level = 0;
    opened[0] = start;
    counts[0] = 2;
    ascending[0] = 1;
    nameStarts[0] = id - 6;
    nameEnds[0] = id - 3;
    return id + ID_LENGTH + 1;
  }

  /**
   * Reads to the end of the outermost value, from the place of a value or, with `behind`, from behind one. This and all
   * below return the place behind what they read, or FAIL. One function on purpose: calls for each field and value would
   * take as long as all the rest.
   */
  #values(start: number, behind: boolean): number {
    const view = this.#view;
    let level = this.#level;
    let at = start;
    for (let first = !behind; ; first = true) {
      if (first) {
        const byte = view.getUint8(at);
        if (byte === QUOTE) at = stringEnd(view, at + 1);
        else if (byte === OPEN || byte === OPEN_ARRAY) {
          at = this.#open(at, byte === OPEN, level + 1);
          // there is something in it
          if (this.#level > level) {
            level += 1;
            if (byte === OPEN && at >= 0) at = this.#field(at, level);
            if (at < 0) return FAIL;
            continue;
          }
        } else if (byte === MINUS || (byte >= ZERO && byte <= NINE)) at = this.#number(at);
        else at = literalEnd(view, at);
        if (at < 0) return FAIL;
      }
      for (;;) {
        if (level < 0) return at;
        if (level === 0 && this.#systemValue > 0) this.#systemField(at);
        if (view.getUint8(at) <= SPACE) at = blanksEnd(view, at);
        const byte = view.getUint8(at);
        const array = nameStarts[level] === 0;
        at += 1;
        if (byte === COMMA) {
          counts[level] = (counts[level] ?? 0) + 1;
          if (view.getUint8(at) <= SPACE) at = blanksEnd(view, at);
          if (array) break;
          const name = at + 1;
          const end = plainNameEnd(view, name);
          const letter = view.getUint8(name);
          const before = nameStarts[level] ?? 0;
          // four letters at once decide only where this name has four: else one of them would be its quote
          const greater =
            letter > view.getUint8(before) || (end - name >= 4 && view.getUint32(name) > view.getUint32(before));
          const usual =
            view.getUint8(at) === QUOTE &&
            view.getUint16(end, true) === NAME_COLON &&
            greater &&
            letter > DOLLAR &&
            letter !== UNDERSCORE &&
            view.getUint8(end + 2) > SPACE;
          if (usual) {
            nameStarts[level] = name;
            nameEnds[level] = end;
            at = end + 2;
            break;
          }
          at = this.#field(at, level);
          if (at < 0) return FAIL;
          break;
        }
        if (byte !== (array ? CLOSE_ARRAY : CLOSE)) return FAIL;
        if ((counts[level] ?? 0) > MOST_FIELDS || ascending[level] === 0) this.#judge(level, array);
        level -= 1;
        this.#level = level;
      }
    }
  }

  /** An array or object with too many elements or fields, or with names that do not ascend. */
  #judge(level: number, array: boolean): void {
    const count = counts[level] ?? 0;
    if (array) {
      if (count > LONGEST_ARRAY) this.flags |= FLAG.arrayTooLong;
      return;
    }
    if (count > MOST_FIELDS) this.flags |= FLAG.objectTooLarge;
    if (ascending[level] === 0 && repeatsName(this.#view, opened[level] ?? 0)) this.flags |= FLAG.keyTwice;
  }

  /** The place behind it when it is empty or a wrapped value, else of what is in it, with the level raised. */
  #open(start: number, object: boolean, level: number): number {
    const view = this.#view;
    const at = blanksEnd(view, start + 1);
    if (view.getUint8(at) === (object ? CLOSE : CLOSE_ARRAY)) return at + 1;
    if (object && view.getUint8(at + 1) === DOLLAR) {
      const wrapped = wrappedValue(view, at);
      if (wrapped !== undefined) {
        this.flags |= wrapped.valid ? FLAG.wrapped : FLAG.wrapped | FLAG.badValue;
        return wrapped.end;
      }
    }
    if (level > DEEPEST) this.flags |= FLAG.tooDeep;
    if (level > MOST_LEVELS) return FAIL;
    this.#level = level;
    opened[level] = start;
    counts[level] = 1;
    nameStarts[level] = 0;
    ascending[level] = 1;
    return at;
  }

  /** A field's name and its colon, whatever they look like; the place of its value. */
  #field(start: number, level: number): number {
    const view = this.#view;
    if (view.getUint8(start) !== QUOTE) return FAIL;
    const name = start + 1;
    const nameEnd = this.#nameEnd(name);
    if (nameEnd < 0) return FAIL;
    const before = nameStarts[level] ?? 0;
    if (before !== 0 && !this.#less(before, nameEnds[level] ?? 0, name, nameEnd)) ascending[level] = 0;
    nameStarts[level] = name;
    nameEnds[level] = nameEnd;
    const colon = blanksEnd(view, nameEnd + 1);
    if (view.getUint8(colon) !== COLON) return FAIL;
    const value = blanksEnd(view, colon + 1);
    if (level === 0 && view.getUint8(name) === UNDERSCORE) this.#systemValue = value;
    return value;
  }

  /** The closing quote of a field's name. */
  #nameEnd(start: number): number {
    const view = this.#view;
    if (view.getUint8(start) === DOLLAR) this.flags |= FLAG.reserved;
    let at = plainNameEnd(view, start);
    for (let byte = view.getUint8(at); byte !== QUOTE; byte = view.getUint8(at)) {
      if (byte < SPACE) return FAIL;
      if (byte !== BACKSLASH) at += 1;
      else {
        // only `"` and `\\` come escaped, other escapes stand for characters that no name may have
        const escaped = view.getUint8(at + 1);
        at = escapeEnd(view, at);
        if (at < 0) return FAIL;
        if (escaped === QUOTE || escaped === BACKSLASH) {
          at = plainNameEnd(view, at);
          continue;
        }
      }
      this.flags |= FLAG.fieldName;
      at = plainNameEnd(view, at);
    }
    return at;
  }

  /** Whether one text is before another in the order of bytes. */
  #less(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const view = this.#view;
    const length = Math.min(aEnd - aStart, bEnd - bStart);
    for (let i = 0; i < length; i += 1) {
      const order = view.getUint8(aStart + i) - view.getUint8(bStart + i);
      if (order !== 0) return order < 0;
    }
    return aEnd - aStart < bEnd - bStart;
  }

  #number(start: number): number {
    const view = this.#view;
    const digits = view.getUint8(start) === MINUS ? start + 1 : start;
    let at = digitsEnd(view, digits);
    if (at === digits || (at > digits + 1 && view.getUint8(digits) === ZERO)) return FAIL;
    this.#integer = true;
    if (view.getUint8(at) === POINT) {
      this.#integer = false;
      const fraction = at + 1;
      at = digitsEnd(view, fraction);
      if (at === fraction) return FAIL;
    }
    if ((view.getUint8(at) | SPACE) === LETTER_E) return this.#exponent(start, at + 1);
    if (this.#integer) {
      this.flags |= FLAG.integer;
      if (at - digits > SAFE_DIGITS) this.#judgeNumber(start, at);
    } else if (at - digits > SAFE_FLOAT) this.#judgeNumber(start, at);
    return at;
  }

  #exponent(numberStart: number, start: number): number {
    const view = this.#view;
    this.#integer = false;
    const sign = view.getUint8(start);
    if (sign === PLUS) this.flags |= FLAG.foreignNumber;
    const digits = sign === PLUS || sign === MINUS ? start + 1 : start;
    const at = digitsEnd(view, digits);
    if (at === digits) return FAIL;
    this.#judgeNumber(numberStart, at);
    return at;
  }

  #judgeNumber(start: number, end: number): void {
    const text = textOf(this.#view, start, end);
    if (!Number.isFinite(Number(text))) this.flags |= FLAG.numberTooLarge;
    else if (this.#integer && BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) this.flags |= FLAG.integerTooLarge;
  }

  /** @param valueEnd behind the value of the outermost object's last field, whose name begins with `_` */
  #systemField(valueEnd: number): void {
    const value = this.#systemValue;
    this.#systemValue = 0;
    const name = textOf(this.#view, nameStarts[0] ?? 0, nameEnds[0] ?? 0);
    if (name === "_id") this.#id(value, valueEnd);
    else if (name === "_creationTime") this.#time(value, valueEnd);
    else this.flags |= FLAG.underscore;
  }

  #id(value: number, valueEnd: number): void {
    this.idStart = value + 1;
    this.idEnd = valueEnd - 1;
    const text = this.#view.getUint8(value) === QUOTE;
    this.idTable = text ? tableNumberOf(this.#bytes, value + 1, valueEnd - 1) : 0;
    if (this.idTable === 0) this.flags |= FLAG.idInvalid;
  }

  #time(value: number, valueEnd: number): void {
    this.#timeSeen = true;
    const first = this.#view.getUint8(value);
    // what begins with 1 to 9 is a number above 0; few begin otherwise
    const positive = first > ZERO ? first <= NINE : first === ZERO && Number(textOf(this.#view, value, valueEnd)) > 0;
    if (!positive) this.flags |= FLAG.timeInvalid;
    if (this.#integer) this.flags |= FLAG.timeInteger;
  }
}

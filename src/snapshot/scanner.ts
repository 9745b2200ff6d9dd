import { tableNumberOf } from "./document-id.ts";

/** What a line can have, as bits. */
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

const QUOTE = 0x22;
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
const LONGEST_ARRAY = 8192;
const MOST_FIELDS = 1024;
const FAIL = -1;

/**
 * Reads one line of JSON at a time, as bytes, in one go: whether it is valid, and everything in it that a restore would
 * refuse or change. JSON.parse would take three times as long and hide what matters most: `1.0` beside `1`, one key twice.
 * UTF-8 is checked elsewhere. The memory behind the line must hold at least 8 more bytes.
 */
export class LineScanner {
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #flags = 0;
  #end = 0;
  /** Whether the last number had neither point nor exponent. */
  #integer = false;

  /** Where the top-level `_id` is, between its quotes; -1 when there is none. */
  idStart = -1;
  idEnd = -1;
  /** Table number of `_id`, 0 when it is not valid. */
  idTable = 0;
  #timeSeen = false;

  use(bytes: Uint8Array, view: DataView): void {
    this.#bytes = bytes;
    this.#view = view;
  }

  /** The flags of the line, its line break not included. */
  scan(start: number, end: number): number {
    this.#flags = 0;
    this.#end = end;
    this.idStart = -1;
    this.idTable = 0;
    this.#timeSeen = false;
    let at = this.#skip(start);
    if (this.#bytes[at] !== OPEN) {
      at = this.#skip(this.#value(at, 0));
      return this.#flags | (at === end ? FLAG.notObject : FLAG.broken);
    }
    at = this.#skip(this.#object(at + 1, 0));
    if (at !== end) return this.#flags & FLAG.tooDeep || this.#flags | FLAG.broken;
    if (this.idStart < 0) this.#flags |= FLAG.idMissing;
    if (!this.#timeSeen) this.#flags |= FLAG.timeMissing;
    return this.#flags;
  }

  /** Behind blanks; FAIL stays FAIL. */
  #skip(at: number): number {
    if (at < 0) return FAIL;
    let i = at;
    while (i < this.#end) {
      const byte = this.#bytes[i];
      if (byte !== SPACE && byte !== 0x09 && byte !== 0x0d) break;
      i += 1;
    }
    return i;
  }

  /** Each of these returns the place behind what it read, or FAIL. */
  #value(at: number, depth: number): number {
    const byte = this.#bytes[at] ?? 0;
    if (byte === QUOTE) return this.#string(at + 1);
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) return this.#number(at);
    if (byte === OPEN) return this.#object(at + 1, depth + 1);
    if (byte === OPEN_ARRAY) return this.#array(at + 1, depth + 1);
    return this.#literal(at, byte);
  }

  #literal(at: number, byte: number): number {
    const word = byte === 0x74 ? 0x65757274 : byte === 0x6e ? 0x6c6c756e : byte === 0x66 ? 0x736c6166 : 0;
    if (word === 0 || this.#view.getInt32(at, true) !== word) return FAIL;
    if (byte !== 0x66) return at + 4;
    return this.#bytes[at + 4] === LETTER_E ? at + 5 : FAIL;
  }

  #array(start: number, depth: number): number {
    if (depth > DEEPEST && this.#tooDeep(depth)) return FAIL;
    let at = this.#skip(start);
    if (this.#bytes[at] === CLOSE_ARRAY) return at + 1;
    for (let count = 1; ; count += 1) {
      at = this.#value(at, depth);
      if (at < 0) return FAIL;
      let byte = this.#bytes[at] ?? 0;
      if (byte <= SPACE) {
        at = this.#skip(at);
        byte = this.#bytes[at] ?? 0;
      }
      if (byte === CLOSE_ARRAY) {
        if (count > LONGEST_ARRAY) this.#flags |= FLAG.arrayTooLong;
        return at + 1;
      }
      if (byte !== COMMA) return FAIL;
      at += 1;
      if ((this.#bytes[at] ?? 0) <= SPACE) at = this.#skip(at);
    }
  }

  #object(start: number, depth: number): number {
    if (depth > DEEPEST && this.#tooDeep(depth)) return FAIL;
    const bytes = this.#bytes;
    let at = this.#skip(start);
    if (bytes[at] === CLOSE) return at + 1;
    if (bytes[at] === QUOTE && bytes[at + 1] === DOLLAR) {
      const behind = this.#wrapped(at);
      if (behind > 0) return behind;
    }
    let beforeStart = -1;
    let beforeEnd = -1;
    let ascending = true;
    for (let count = 1; ; count += 1) {
      if (bytes[at] !== QUOTE) return FAIL;
      const key = at + 1;
      const keyEnd = this.#key(key);
      if (keyEnd < 0) return FAIL;
      if (beforeStart >= 0 && (bytes[beforeStart] ?? 0) >= (bytes[key] ?? 0) && ascending) {
        ascending = this.#less(beforeStart, beforeEnd, key, keyEnd);
      }
      beforeStart = key;
      beforeEnd = keyEnd;
      at = keyEnd + 1;
      if ((bytes[at] ?? 0) <= SPACE) at = this.#skip(at);
      if (bytes[at] !== COLON) return FAIL;
      at += 1;
      if ((bytes[at] ?? 0) <= SPACE) at = this.#skip(at);
      const value = at;
      at = bytes[at] === QUOTE ? this.#string(at + 1) : this.#value(at, depth);
      if (at < 0) return FAIL;
      if (depth === 0 && bytes[key] === UNDERSCORE) this.#systemField(key, keyEnd, value, at);
      let byte = bytes[at] ?? 0;
      if (byte <= SPACE) {
        at = this.#skip(at);
        byte = bytes[at] ?? 0;
      }
      if (byte === CLOSE) {
        if (count > MOST_FIELDS) this.#flags |= FLAG.objectTooLarge;
        if (!ascending && this.#repeats(start - 1, at + 1)) this.#flags |= FLAG.keyTwice;
        return at + 1;
      }
      if (byte !== COMMA) return FAIL;
      at += 1;
      if ((bytes[at] ?? 0) <= SPACE) at = this.#skip(at);
    }
  }

  /** Levels far beyond the limit are not even read: they would exhaust the stack. */
  #tooDeep(depth: number): boolean {
    this.#flags |= FLAG.tooDeep;
    return depth > 4 * DEEPEST;
  }

  /** The closing quote of a field's name. */
  #key(start: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    let at = start;
    for (;;) {
      // as in #string; beyond ASCII and DEL (0x7f) too
      const word = view.getInt32(at, true);
      const quote = word ^ 0x22222222;
      const slash = word ^ 0x5c5c5c5c;
      const odd = word | (word + 0x01010101) | ((word - 0x20202020) & ~word);
      const hit = (odd | ((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash)) & 0x80808080;
      if (hit === 0) {
        at += 4;
        continue;
      }
      at += (31 - Math.clz32(hit & -hit)) >>> 3;
      const byte = bytes[at] ?? 0;
      if (byte === QUOTE) break;
      if (byte < SPACE) return FAIL;
      if (byte === BACKSLASH) {
        // only `"` and `\` come escaped; others stand for characters that no name may have
        if (bytes[at + 1] !== QUOTE && bytes[at + 1] !== BACKSLASH) this.#flags |= FLAG.fieldName;
        at = this.#escape(at);
        if (at < 0) return FAIL;
      } else {
        this.#flags |= FLAG.fieldName;
        at += 1;
      }
    }
    if (bytes[start] === DOLLAR) this.#flags |= FLAG.reserved;
    return at;
  }

  /** Behind the closing quote. */
  #string(start: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    let at = start;
    for (;;) {
      // four bytes at a time, as long as none of them is a quote, a backslash or a control character
      const word = view.getInt32(at, true);
      const quote = word ^ 0x22222222;
      const slash = word ^ 0x5c5c5c5c;
      const hit =
        (((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash) | ((word - 0x20202020) & ~word)) &
        0x80808080;
      if (hit === 0) {
        at += 4;
        continue;
      }
      // the lowest bit tells the first of them, the others may be wrong
      at += (31 - Math.clz32(hit & -hit)) >>> 3;
      const byte = bytes[at] ?? 0;
      if (byte === QUOTE) return at + 1;
      if (byte !== BACKSLASH) return FAIL;
      at = this.#escape(at);
      if (at < 0) return FAIL;
    }
  }

  #escape(at: number): number {
    const byte = this.#bytes[at + 1] ?? 0;
    if (byte !== 0x75) return '"\\/bfnrt'.includes(String.fromCharCode(byte)) ? at + 2 : FAIL;
    const unit = this.#hex(at + 2);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return FAIL;
    if (unit < 0xd800 || unit > 0xdbff) return at + 6;
    const second = this.#bytes[at + 6] === BACKSLASH && this.#bytes[at + 7] === 0x75 ? this.#hex(at + 8) : FAIL;
    return second >= 0xdc00 && second <= 0xdfff ? at + 12 : FAIL;
  }

  #hex(at: number): number {
    const text = String.fromCharCode(...this.#bytes.subarray(at, at + 4));
    return /^[0-9a-fA-F]{4}$/.test(text) ? Number.parseInt(text, 16) : FAIL;
  }

  #number(start: number): number {
    const bytes = this.#bytes;
    let at = bytes[start] === MINUS ? start + 1 : start;
    const digits = at;
    at = this.#digits(at);
    if (at === digits || (bytes[digits] === ZERO && at > digits + 1)) return FAIL;
    this.#integer = true;
    if (bytes[at] === POINT) {
      this.#integer = false;
      const fraction = at + 1;
      at = this.#digits(fraction);
      if (at === fraction) return FAIL;
    }
    const letter = (bytes[at] ?? 0) | SPACE;
    if (letter === LETTER_E) {
      at = this.#exponent(at + 1);
      if (at < 0) return FAIL;
    }
    if (this.#integer) this.#flags |= FLAG.integer;
    if (at - digits > 18) this.#longNumber(start, at);
    return at;
  }

  #exponent(start: number): number {
    const bytes = this.#bytes;
    this.#integer = false;
    let at = start;
    if (bytes[at] === PLUS) this.#flags |= FLAG.foreignNumber;
    if (bytes[at] === PLUS || bytes[at] === MINUS) at += 1;
    const behind = this.#digits(at);
    if (behind === at) return FAIL;
    // e100 and more: may be beyond all floats
    if (behind - at > 2) this.#longNumber(this.#numberStart(start), behind);
    return behind;
  }

  #numberStart(inside: number): number {
    let at = inside - 1;
    while (at > 0 && "0123456789+-.eE".includes(String.fromCharCode(this.#bytes[at - 1] ?? 0))) at -= 1;
    return at;
  }

  #digits(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    for (let byte = bytes[at] ?? 0; byte >= ZERO && byte <= NINE; byte = bytes[at] ?? 0) at += 1;
    return at;
  }

  #longNumber(start: number, end: number): void {
    const text = this.#text(start, end);
    if (!Number.isFinite(Number(text))) this.#flags |= FLAG.numberTooLarge;
    else if (this.#integer && BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) this.#flags |= FLAG.integerTooLarge;
  }

  #text(start: number, end: number): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, end - start).toString();
  }

  /** Whether one text is before another in the order of bytes. */
  #less(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const bytes = this.#bytes;
    const length = Math.min(aEnd - aStart, bEnd - bStart);
    for (let i = 0; i < length; i += 1) {
      const a = bytes[aStart + i] ?? 0;
      const b = bytes[bStart + i] ?? 0;
      if (a !== b) return a < b;
    }
    return aEnd - aStart < bEnd - bStart;
  }

  /** The long way, for objects whose keys are not in the order in which the backend writes them. */
  #repeats(start: number, end: number): boolean {
    const keys = new Set<string>();
    let at = start + 1;
    const flags = this.#flags;
    try {
      for (;;) {
        at = this.#skip(at);
        const keyEnd = this.#key(at + 1);
        const key: string = JSON.parse(this.#text(at, keyEnd + 1));
        if (keys.has(key)) return true;
        keys.add(key);
        at = this.#skip(this.#skip(keyEnd + 1) + 1);
        at = this.#skip(this.#value(at, 0)) + 1;
        if (at >= end) return false;
      }
    } finally {
      this.#flags = flags;
    }
  }

  #systemField(key: number, keyEnd: number, value: number, valueEnd: number): void {
    const length = keyEnd - key;
    if (length === 3 && this.#bytes[key + 1] === 0x69 && this.#bytes[key + 2] === 0x64) {
      this.#id(value, valueEnd);
    } else if (length === 13 && this.#isCreationTime(key)) {
      this.#time(value, valueEnd);
    } else this.#flags |= FLAG.underscore;
  }

  /** `_creationTime`, four bytes at a time: it is looked for in every line. */
  #isCreationTime(key: number): boolean {
    const view = this.#view;
    return (
      view.getInt32(key, true) === 0x6572635f &&
      view.getInt32(key + 4, true) === 0x6f697461 &&
      view.getInt32(key + 8, true) === 0x6d69546e &&
      this.#bytes[key + 12] === LETTER_E
    );
  }

  #id(value: number, valueEnd: number): void {
    this.idStart = value + 1;
    this.idEnd = valueEnd - 1;
    this.idTable = this.#bytes[value] === QUOTE ? tableNumberOf(this.#bytes, value + 1, valueEnd - 1) : 0;
    if (this.idTable === 0) this.#flags |= FLAG.idInvalid;
  }

  #time(value: number, valueEnd: number): void {
    this.#timeSeen = true;
    const first = this.#bytes[value] ?? 0;
    // what begins with 1 to 9 is a number above 0; few begin otherwise
    const positive = first > ZERO ? first <= NINE : first === ZERO && Number(this.#text(value, valueEnd)) > 0;
    if (!positive) this.#flags |= FLAG.timeInvalid;
    if (this.#integer) this.#flags |= FLAG.timeInteger;
  }

  /** `{"$bytes":"..."}` and its like; 0 when it is none of them. */
  #wrapped(at: number): number {
    const shown = this.#text(at, Math.min(at + 12, this.#end));
    const name = /^"\$(bytes|float|integer)":"/.exec(shown);
    if (name === null) return 0;
    const start = at + name[0].length;
    const behind = this.#string(start);
    if (behind < 0 || this.#bytes[behind] !== CLOSE) return 0;
    this.#flags |= FLAG.wrapped;
    if (!validWrapped(name[1] ?? "", this.#text(start, behind - 1))) this.#flags |= FLAG.badValue;
    return behind + 1;
  }
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** `$float` is only for what JSON has no number for; an ordinary one is refused by the importer. */
function validWrapped(name: string, text: string): boolean {
  if (!BASE64.test(text)) return false;
  if (name === "bytes") return true;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 8 && (name === "integer" || !Number.isFinite(bytes.readDoubleLE(0)));
}

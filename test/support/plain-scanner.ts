import * as FLAG from "../../src/snapshot/line-flags.ts";
import { decodeId } from "../standin/ids.ts";

const BLANKS = /[ \t\r]*/y;
const ESCAPE = String.raw`\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})`;
const TEXT = String.raw`(?:[^"\\\x00-\x1f]|${ESCAPE})*`;
const STRING = new RegExp(`"(${TEXT})"`, "y");
const WRAPPED = new RegExp(String.raw`"\$(bytes|float|integer)":"(${TEXT})"\}`, "y");
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?(?![0-9])/y;
const LITERAL = /true|false|null/y;
/** What a backend lets be in a name. */
const NAME = /^(?:[\x20-\x5b\x5d-\x7e]|\\["\\])*$/;

class Broken extends Error {}

export interface PlainLine {
  readonly flags: number;
  /** Table number of `_id`, 0 when it is not valid. */
  readonly idTable: number;
}

/**
 * What the scanner must find in a line, found as plainly as can be: a recursive descent over characters, with no eye to
 * speed and nothing in common with the scanner but its flags.
 */
export function scanPlainly(line: Buffer): PlainLine {
  const scanner = new PlainScanner(line.toString("latin1"));
  return { flags: scanner.scan(), idTable: scanner.idTable };
}

class PlainScanner {
  readonly #text: string;
  #at = 0;
  #flags = 0;
  #seen = new Set<string>();
  /** Whether the last number had neither point nor exponent. */
  #integer = false;
  idTable = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): number {
    this.#take(BLANKS);
    const object = this.#text[this.#at] === "{";
    try {
      this.#value(0);
      this.#take(BLANKS);
      if (this.#at < this.#text.length) throw new Broken();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      if (object && this.#has(FLAG.tooDeep)) return FLAG.tooDeep;
      return FLAG.broken;
    }
    if (!object) return FLAG.notObject | (this.#flags & (FLAG.wrapped | FLAG.integer));
    if (!this.#seen.has("_id")) this.#flags |= FLAG.idMissing;
    if (!this.#seen.has("_creationTime")) this.#flags |= FLAG.timeMissing;
    return this.#flags;
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  /** Goes on behind what the pattern matches here. */
  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return undefined;
    this.#at += found[0].length;
    return found;
  }

  #need(text: string): void {
    if (!this.#text.startsWith(text, this.#at)) throw new Broken();
    this.#at += text.length;
  }

  #value(level: number): void {
    const first = this.#text[this.#at];
    if (first === "{") this.#object(level);
    else if (first === "[") this.#array(level);
    else if (first === '"') {
      if (this.#take(STRING) === undefined) throw new Broken();
    } else if (/[-0-9]/.test(first ?? "")) this.#number();
    else if (this.#take(LITERAL) === undefined) throw new Broken();
  }

  #enter(level: number): void {
    if (level > 64) this.#flags |= FLAG.tooDeep;
    if (level > 256) throw new Broken();
  }

  #array(level: number): void {
    this.#need("[");
    this.#take(BLANKS);
    if (this.#take(/\]/y) !== undefined) return;
    this.#enter(level);
    let count = 0;
    do {
      this.#take(BLANKS);
      this.#value(level + 1);
      count += 1;
      this.#take(BLANKS);
    } while (this.#take(/,/y) !== undefined);
    this.#need("]");
    if (count > 8192) this.#flags |= FLAG.arrayTooLong;
  }

  #object(level: number): void {
    this.#need("{");
    this.#take(BLANKS);
    if (this.#take(/\}/y) !== undefined) return;
    const wrapped = this.#take(WRAPPED);
    if (wrapped !== undefined) {
      this.#flags |= FLAG.wrapped | (isWrapped(wrapped[1] ?? "", wrapped[2] ?? "") ? 0 : FLAG.badValue);
      return;
    }
    this.#enter(level);
    const names: string[] = [];
    do {
      this.#take(BLANKS);
      names.push(this.#field(level));
      this.#take(BLANKS);
    } while (this.#take(/,/y) !== undefined);
    this.#need("}");
    if (names.length > 1024) this.#flags |= FLAG.objectTooLarge;
    // the order of a backend lets no name be there twice, but an escaped one, which has a flag of its own
    const ascending = names.every((name, i) => i === 0 || (names[i - 1] ?? "") < name);
    const plain = new Set(names.map((name) => JSON.parse(`"${Buffer.from(name, "latin1").toString()}"`) as string));
    if (!ascending && names.length <= 1024 && plain.size < names.length) this.#flags |= FLAG.keyTwice;
  }

  /** Its name as it is written. */
  #field(level: number): string {
    const name = this.#take(STRING)?.[1];
    if (name === undefined) throw new Broken();
    if (name.startsWith("$")) this.#flags |= FLAG.reserved;
    if (!NAME.test(name)) this.#flags |= FLAG.fieldName;
    this.#take(BLANKS);
    this.#need(":");
    this.#take(BLANKS);
    const start = this.#at;
    this.#value(level + 1);
    if (level === 0 && name.startsWith("_")) this.#systemField(name, this.#text.slice(start, this.#at));
    return name;
  }

  #systemField(name: string, value: string): void {
    this.#seen.add(name);
    if (name === "_id") {
      this.idTable = value.startsWith('"') ? (decodeId(value.slice(1, -1))?.table ?? 0) : 0;
      if (this.idTable === 0) this.#flags |= FLAG.idInvalid;
    } else if (name === "_creationTime") {
      if (!/^[0-9]/.test(value) || !(/^[1-9]/.test(value) || Number(value) > 0)) this.#flags |= FLAG.timeInvalid;
      if (this.#integer) this.#flags |= FLAG.timeInteger;
    } else this.#flags |= FLAG.underscore;
  }

  #number(): void {
    const [text, fraction, exponent] = this.#take(NUMBER) ?? [];
    if (text === undefined) throw new Broken();
    this.#integer = fraction === undefined && exponent === undefined;
    if (this.#integer) this.#flags |= FLAG.integer;
    if (exponent?.includes("+")) this.#flags |= FLAG.foreignNumber;
    if (!Number.isFinite(Number(text))) this.#flags |= FLAG.numberTooLarge;
    else if (this.#integer && BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) this.#flags |= FLAG.integerTooLarge;
  }
}

function isWrapped(name: string, text: string): boolean {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return false;
  const bytes = Buffer.from(text, "base64");
  if (name === "bytes") return true;
  return bytes.length === 8 && (name === "integer" || !Number.isFinite(bytes.readDoubleLE(0)));
}

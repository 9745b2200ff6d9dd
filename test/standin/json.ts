/** JSON with positions, and the parser's errors in the words of the backend's own parser (contract 3.1). */
import type { JsonNode } from "./types.ts";

export class JsonSyntaxError extends Error {
  /** Where in the document it was: `changes[0].value`, "" at the top. */
  readonly path: string;
  constructor(message: string, path: string) {
    super(message);
    this.path = path;
  }
}

/** ` at line 1 column 11`: the column is the number of characters read in that line. */
export function position(text: string, end: number): string {
  const before = text.slice(0, end);
  const line = before.split("\n").length;
  return ` at line ${line} column ${end - (before.lastIndexOf("\n") + 1)}`;
}

export function parseJson(text: string): JsonNode {
  const parser = new Parser(text);
  const node = parser.value("");
  parser.end();
  return node;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** The depth at which the backend's parser gives up. */
const MAX_DEPTH = 128;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CONTROL = "control character (\\u0000-\\u001F) found while parsing a string";
const WORDS: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

class Parser {
  #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(path: string): JsonNode {
    const first = this.#peek();
    if (first === undefined) throw this.#error("EOF while parsing a value", path, 0);
    if (first === "{" || first === "[") return this.#nested(first, path);
    if (first === '"') return this.#string(path);
    for (const [word, value] of Object.entries(WORDS)) {
      if (this.#text.startsWith(word, this.#at)) return this.#token(word.length, value);
    }
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text)?.[0];
    if (number !== undefined) return this.#token(number.length, Number(number));
    throw this.#error("expected value", path);
  }

  end(): void {
    if (this.#peek() !== undefined) throw this.#error("trailing characters", "");
  }

  #nested(first: "{" | "[", path: string): JsonNode {
    this.#depth += 1;
    if (this.#depth >= MAX_DEPTH) throw this.#error("recursion limit exceeded", path);
    const node = first === "{" ? this.#object(path) : this.#array(path);
    this.#depth -= 1;
    return node;
  }

  #object(path: string): JsonNode {
    const start = this.#at++;
    const fields = new Map<string, JsonNode>();
    const value: Record<string, unknown> = {};
    while (this.#next("}", "object", fields.size === 0, path)) {
      if (this.#peek() !== '"') throw this.#error("key must be a string", path);
      const key = String(this.#string(path).value);
      const colon = this.#peek();
      if (colon !== ":") throw this.#missing("expected `:`", "object", path);
      this.#at++;
      const node = this.value(path === "" ? key : `${path}.${key}`);
      fields.set(key, node);
      Object.defineProperty(value, key, { value: node.value, enumerable: true, configurable: true, writable: true });
    }
    return { value, start, end: this.#at, text: this.#text, fields };
  }

  #array(path: string): JsonNode {
    const start = this.#at++;
    const items: JsonNode[] = [];
    while (this.#next("]", "list", items.length === 0, path)) items.push(this.value(`${path}[${items.length}]`));
    return { value: items.map((item) => item.value), start, end: this.#at, text: this.#text, items };
  }

  #string(path: string): JsonNode {
    // A loop and no expression: module sources are strings of megabytes.
    let end = this.#at + 1;
    for (let code = this.#text.charCodeAt(end); code !== QUOTE; code = this.#text.charCodeAt(end)) {
      if (Number.isNaN(code)) throw this.#error("EOF while parsing a string", path, this.#text.length - this.#at);
      if (code < 0x20) throw this.#error(CONTROL, path, end - this.#at + 1);
      end += code === BACKSLASH ? 2 : 1;
    }
    const token = this.#text.slice(this.#at, end + 1);
    try {
      return this.#token(token.length, JSON.parse(token));
    } catch {
      throw this.#error("invalid escape", path);
    }
  }

  /** Past a comma or the closing bracket; false after the latter. */
  #next(close: string, what: string, first: boolean, path: string): boolean {
    const character = this.#peek();
    if (character === close) {
      this.#at++;
      return false;
    }
    if (first) {
      if (character === undefined) throw this.#error(`EOF while parsing ${article(what)}`, path, 0);
      return true;
    }
    if (character !== ",") throw this.#missing(`expected \`,\` or \`${close}\``, what, path);
    this.#at++;
    if (this.#peek() === close) throw this.#error("trailing comma", path);
    return true;
  }

  #missing(message: string, what: string, path: string): JsonSyntaxError {
    if (this.#at < this.#text.length) return this.#error(message, path);
    return this.#error(`EOF while parsing ${article(what)}`, path, 0);
  }

  #peek(): string | undefined {
    while (/[ \n\r\t]/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#text[this.#at];
  }

  #token(length: number, value: unknown): JsonNode {
    const start = this.#at;
    this.#at += length;
    return { value, start, end: this.#at, text: this.#text };
  }

  #error(message: string, path: string, ahead = 1): JsonSyntaxError {
    return new JsonSyntaxError(message + position(this.#text, Math.min(this.#at + ahead, this.#text.length)), path);
  }
}

const article = (what: string) => (what === "object" ? "an object" : "a list");

/** Document ids (contract 7.2): base32 of LEB128 table number, 14 random bytes, day of creation, checksum. */
import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const DAY_MS = 86_400_000;
const INTERNAL_LENGTH = 16;

export interface DocumentId {
  readonly table: number;
  /** 16 bytes. */
  readonly internal: Uint8Array;
}

/** 16 bytes for a new document: 14 random ones and the day since 1970, big-endian. */
export function newInternalId(nowMs: number): Uint8Array {
  const bytes = randomBytes(INTERNAL_LENGTH);
  bytes.writeUInt16BE(Math.floor(nowMs / DAY_MS) & 0xffff, 14);
  return bytes;
}

export function newId(table: number, nowMs = Date.now()): string {
  return encodeId({ table, internal: newInternalId(nowMs) });
}

export function encodeId({ table, internal }: DocumentId): string {
  const bytes = [...leb128(table), ...internal];
  return base32([...bytes, ...checksum(bytes)]);
}

/** Undefined when it is no document id. */
export function decodeId(text: string): DocumentId | undefined {
  const bytes = unbase32(text);
  if (bytes === undefined) return undefined;
  let table = 0;
  let at = 0;
  for (;;) {
    const byte = bytes[at];
    if (byte === undefined || at > 4) return undefined;
    table += (byte & 0x7f) * 2 ** (7 * at);
    at += 1;
    if (byte < 0x80) break;
  }
  if (bytes.length !== at + INTERNAL_LENGTH + 2) return undefined;
  const [low, high] = checksum(bytes.slice(0, -2));
  if (bytes.at(-2) !== low || bytes.at(-1) !== high) return undefined;
  return { table, internal: Uint8Array.from(bytes.slice(at, at + INTERNAL_LENGTH)) };
}

function leb128(n: number): number[] {
  const bytes: number[] = [];
  for (let rest = n; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 0x80);
  }
}

/** Plain sum, then the sum of the running sums, both mod 256. */
function checksum(bytes: readonly number[]): [number, number] {
  let sum = 0;
  let sums = 0;
  for (const byte of bytes) {
    sum = (sum + byte) & 0xff;
    sums = (sums + sum) & 0xff;
  }
  return [sum, sums];
}

function base32(bytes: readonly number[]): string {
  let text = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(buffer >> bits) & 31];
      buffer &= (1 << bits) - 1;
    }
  }
  return bits === 0 ? text : text + ALPHABET[(buffer << (5 - bits)) & 31];
}

function unbase32(text: string): number[] | undefined {
  const bytes: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((buffer >> bits) & 0xff);
    buffer &= (1 << bits) - 1;
  }
  return bits < 5 && buffer === 0 ? bytes : undefined;
}

/** CSV files of an import (contract 7.3): cells that look like numbers are Float64, everything else is text. */
import type { Fields, Value } from "../types.ts";
import { setField } from "../values.ts";
import { ImportError } from "./import-error.ts";
import { checkFieldName } from "./rows.ts";

/** What Rust takes for a Float64; infinities and NaN then become null. */
const NUMBER = /^[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)$/i;

/** Documents in order of their rows. @throws ImportError */
export function readCsv(bytes: Buffer): Fields[] {
  const hasBom = bytes.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
  // in Latin-1 every byte is one character, so that a bad byte is noticed in its own row
  const records = splitRecords(bytes.toString("latin1", hasBom ? 3 : 0));
  const [header, ...rows] = records.map(decodeRecord);
  if (header === undefined) return [];
  for (const name of header) checkHeader(name);
  return rows.map((row, i) => {
    if (row.length !== header.length) {
      throw new ImportError(`CSV row ${i + 2} doesn't have all of the fields in the header`);
    }
    const fields: Fields = {};
    for (const [column, name] of header.entries()) setField(fields, name, cell(row[column] ?? ""));
    return fields;
  });
}

function checkHeader(name: string): void {
  try {
    checkFieldName(name);
  } catch (error) {
    throw new ImportError(
      `CSV header "${name}" isn't a valid field name: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function cell(text: string): Value {
  if (!NUMBER.test(text)) return text;
  const number = Number(text);
  return Number.isFinite(number) ? number : null;
}

interface RawRecord {
  fields: string[];
  /** 1-based line and byte offset of its start */
  line: number;
  byte: number;
}

function decodeRecord({ fields, line, byte }: RawRecord, index: number): string[] {
  return fields.map((field, i) => {
    const bytes = Buffer.from(field, "latin1");
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      const near = validPrefix(bytes);
      const place = `record ${index} (line ${line}, field: ${i + 1}, byte: ${byte})`;
      const why = `invalid utf-8: invalid UTF-8 in field ${i + 1} near byte index ${near}`;
      throw new ImportError(`Failed to parse CSV row ${index + 1}: CSV parse error: ${place}: ${why}`);
    }
  });
}

/** Bytes before the first that is no UTF-8. */
function validPrefix(bytes: Buffer): number {
  let length = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  while (length < bytes.length) {
    try {
      decoder.decode(bytes.subarray(0, length + 1), { stream: true });
    } catch {
      break;
    }
    length++;
  }
  return length;
}

/** RFC 4180; empty lines are skipped. */
function splitRecords(text: string): RawRecord[] {
  const records: RawRecord[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const start = at;
    const startLine = line;
    const fields: string[] = [];
    for (let open = true; open; ) {
      const { field, next } = readField(text, at);
      fields.push(field);
      const mark = text[next];
      open = mark === ",";
      at = next + (mark === "\r" && text[next + 1] === "\n" ? 2 : 1);
    }
    line += text.slice(start, at).split("\n").length - 1;
    if (fields.length > 1 || fields[0] !== "") records.push({ fields, line: startLine, byte: start });
  }
  return records;
}

function readField(text: string, start: number): { field: string; next: number } {
  if (text[start] !== '"') {
    let next = start;
    while (next < text.length && !",\r\n".includes(text[next] ?? "")) next++;
    return { field: text.slice(start, next), next };
  }
  let field = "";
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return { field: field + text.slice(at), next: text.length };
    field += text.slice(at, quote);
    at = quote + 1;
    if (text[at] !== '"') break;
    field += '"';
    at++;
  }
  const rest = readField(text, at);
  return { field: field + rest.field, next: rest.next };
}

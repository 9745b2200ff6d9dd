/**
 * What an uploaded file holds: tables with their lines, files with their metadata, table numbers. Everything that the
 * backend notices before the confirmation is noticed here (contract 7.3).
 */
import type { Fields } from "../types.ts";
import { readCsv } from "./csv.ts";
import { ImportError, identifierProblem } from "./import-error.ts";
import { oldDecoder, ShapeSyntaxError } from "./old-shapes.ts";
import {
  checkRow,
  parseRaw,
  plainValue,
  type Raw,
  RawNumber,
  type RowEncoding,
  rawText,
  splitLines,
  syntaxText,
} from "./rows.ts";
import { InvalidZip, readZip, type ZipEntry } from "./zip-reader.ts";

export type ImportFormat = "zip" | "csv" | "jsonLines" | "jsonArray";

/** One `documents.jsonl`; two of one table are two units. */
export interface TableUnit {
  readonly component: string;
  readonly table: string;
  readonly encoding: RowEncoding;
  readonly rows: readonly Row[];
}

export type Row = { readonly raw: Raw } | { readonly line: string } | { readonly fields: Fields };

export interface FileUnit {
  readonly component: string;
  /** The ZIP has a `_storage/documents.jsonl`; without one its files do not count. */
  readonly listed: boolean;
  /** Its lines. */
  readonly lines: readonly string[];
  /** Stored files by the name before the first point, in the order of the ZIP. */
  readonly files: readonly { readonly id: string; readonly entry: ZipEntry }[];
}

export interface ImportSource {
  /** In the order of the file. */
  readonly tables: readonly TableUnit[];
  readonly files: readonly FileUnit[];
  /** Lines of `_tables/documents.jsonl` by component. */
  readonly numbers: readonly { readonly component: string; readonly lines: readonly Raw[] }[];
}

const JSON_LIMIT = 16 * 1024 * 1024;
const BOM = "\uFEFF";

/**
 * @param base component below which everything goes
 * @param old as the first releases, which do not know `uniform`
 * @throws ImportError
 */
export function readSource(
  bytes: Buffer,
  format: ImportFormat,
  table: string | undefined,
  base: string,
  old = false,
): ImportSource {
  if (format === "zip") return readArchive(bytes, base, old);
  const rows = format === "csv" ? csvRows(bytes) : format === "jsonLines" ? lineRows(bytes) : arrayRows(bytes);
  const encoding: RowEncoding = { kind: "plain" };
  return { tables: [{ component: base, table: table ?? "", encoding, rows }], files: [], numbers: [] };
}

function csvRows(bytes: Buffer): Row[] {
  return readCsv(bytes).map((fields) => ({ fields }));
}

function lineRows(bytes: Buffer): Row[] {
  const text = utf8(bytes) ?? fail("Import wasn't valid UTF8: stream did not contain valid UTF-8");
  refuseBom(text);
  return checkedLines(text).map((line) => ({ line }));
}

function arrayRows(bytes: Buffer): Row[] {
  if (bytes.length > JSON_LIMIT) {
    fail(
      `Import is too large for JSON (${bytes.length} bytes > maximum 16 MiB). Consider converting data to JSONLines`,
    );
  }
  const text = utf8(bytes) ?? fail("Import wasn't valid UTF8: stream did not contain valid UTF-8");
  refuseBom(text);
  let raw: Raw;
  try {
    raw = parseRaw(text);
  } catch (error) {
    return fail(`Not valid JSON: ${syntaxText(text, error)}`);
  }
  return Array.isArray(raw) ? raw.map((item) => ({ raw: item })) : fail("Not a JSON array");
}

function fail(text: string): never {
  throw new ImportError(text);
}

function refuseBom(text: string): void {
  if (text.startsWith(BOM)) fail("UTF-8 BOM is not supported. Please save your file without BOM.");
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** @throws ImportError for the first line that is no JSON */
function checkedLines(text: string): string[] {
  const lines = splitLines(text);
  for (const [i, line] of lines.entries()) checkRow(line, i + 1, i + 1 < lines.length || text.endsWith("\n"));
  return lines;
}

// ---------------------------------------------------------------- ZIP

interface Place {
  readonly component: string;
  readonly entry: ZipEntry;
}

interface Found {
  readonly documents: (Place & { table: string })[];
  readonly schemas: (Place & { table: string })[];
  readonly tables: Place[];
  readonly metadata: Place[];
  readonly stored: (Place & { id: string })[];
}

function readArchive(bytes: Buffer, base: string, old: boolean): ImportSource {
  try {
    const found = sortEntries(readZip(bytes), base);
    const encodings = new Map(found.schemas.map((s) => [`${s.component}/${s.table}`, readSchema(s.entry, old)]));
    const tables = found.documents.map(({ component, table, entry }) => {
      const encoding: RowEncoding = encodings.get(`${component}/${table}`) ?? { kind: "plain" };
      return { component, table, encoding, rows: documentLines(entry).map((line) => ({ line })) };
    });
    return { tables, files: fileUnits(found), numbers: found.tables.map(tableNumbers) };
  } catch (error) {
    throw error instanceof InvalidZip ? ImportError.prefixed(error.message) : error;
  }
}

/** Text of a `documents.jsonl`: broken UTF-8 counts as a broken ZIP. */
function documentLines(entry: ZipEntry): string[] {
  const text = utf8(entry.read());
  if (text === undefined) throw new InvalidZip();
  return checkedLines(text);
}

/** Any folder in front is ignored; what is not recognised as well. */
function sortEntries(entries: ZipEntry[], base: string): Found {
  const found: Found = { documents: [], schemas: [], tables: [], metadata: [], stored: [] };
  for (const entry of entries) {
    const parts = entry.name.split("/");
    const [folder, file] = [parts.at(-2) ?? "", parts.at(-1) ?? ""];
    const component = [base, ...componentsOf(parts)].filter((name) => name !== "").join("/");
    const place = { component, entry };
    // the backend looks for `_storage/` wherever it stands, so a table `my_storage` is hit too (contract 7.3)
    const isStored = folder.endsWith("_storage") && file !== "" && !file.startsWith(".") && file !== "documents.jsonl";
    if (isStored) found.stored.push({ ...place, id: file.split(".")[0] ?? "" });
    else if (file === "documents.jsonl" && folder === "_tables") found.tables.push(place);
    else if (file === "documents.jsonl" && folder === "_storage") found.metadata.push(place);
    else if (
      !folder.startsWith("_") &&
      folder !== "" &&
      (file === "documents.jsonl" || file === "generated_schema.jsonl")
    ) {
      const problem = identifierProblem(folder);
      if (problem !== undefined) throw ImportError.prefixed(`table name '${folder}' invalid: ${problem}`);
      (file === "documents.jsonl" ? found.documents : found.schemas).push({ ...place, table: folder });
    }
  }
  return found;
}

function componentsOf(parts: string[]): string[] {
  const names: string[] = [];
  for (let i = 0; i + 1 < parts.length; i++) {
    if (parts[i] !== "_components") continue;
    const name = parts[++i] ?? "";
    const problem = identifierProblem(name);
    if (problem !== undefined) throw ImportError.prefixed(`component name '${name}' invalid: ${problem}`);
    names.push(name);
  }
  return names;
}

/** The CRC of these is not looked at. */
function readSchema(entry: ZipEntry, old: boolean): RowEncoding {
  const lines = splitLines(entry.read("trust").toString());
  const values = (lines.length === 0 ? [""] : lines).map((line, i) => {
    checkRow(line, i + 1, false);
    return parseRaw(line);
  });
  const [shape, ...overrides] = values;
  if (typeof shape !== "string") throw ImportError.badValue(1, "first line of generated_schema must be a string");
  if (shape === "uniform" && !old) return { kind: "uniform" };
  try {
    return { kind: "shape", decode: oldDecoder(shape, Object.assign({}, ...overrides)) };
  } catch (error) {
    if (!(error instanceof ShapeSyntaxError)) throw error;
    throw ImportError.prefixed(`cannot parse ${entry.name}: ${error.message}`);
  }
}

function fileUnits({ metadata, stored }: Found): FileUnit[] {
  const components = [...new Set([...metadata, ...stored].map((place) => place.component))];
  return components.flatMap((component) => {
    const places = metadata.filter((place) => place.component === component);
    const files = stored.filter((place) => place.component === component);
    const lines = places.flatMap((place) => documentLines(place.entry));
    // files without any documents.jsonl are ignored, but not those of a table that only ends in `_storage`
    const wrong = files.filter(({ entry }) => entry.name.split("/").at(-2) !== "_storage");
    if (places.length === 0 && wrong.length === 0) return [];
    return [{ component, listed: places.length > 0, lines, files: files.map(({ id, entry }) => ({ id, entry })) }];
  });
}

function tableNumbers({ component, entry }: Place): { component: string; lines: Raw[] } {
  const lines = documentLines(entry).map((line) => parseRaw(line));
  for (const [i, line] of lines.entries()) {
    if (nameOf(line) === undefined) throw ImportError.badValue(i + 1, "table requires name");
  }
  return { component, lines };
}

export function nameOf(line: Raw): string | undefined {
  const name = fieldOf(line, "name");
  return typeof name === "string" ? name : undefined;
}

/** The number in a line of `_tables`; 10001.0 is fine. @throws ImportError naming the row */
export function numberOf(line: Raw, row: number): number {
  const id = fieldOf(line, "id");
  const number = id instanceof RawNumber ? Number(id.source) : Number.NaN;
  if (Number.isInteger(number) && number > 0) return number;
  const shown =
    id === undefined
      ? "None"
      : typeof id === "string"
        ? `Some(String(${JSON.stringify(id)}))`
        : `Some(Number(${rawText(id)}))`;
  throw ImportError.badValue(row, `table requires id (received ${shown})`);
}

function fieldOf(raw: Raw, name: string): Raw | undefined {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || raw instanceof RawNumber) return undefined;
  return raw[name];
}

/** `_id` of a row as it stands, without converting the rest. */
export function rowId(row: Row): unknown {
  if ("fields" in row) return row.fields["_id"];
  const raw = "line" in row ? parseRaw(row.line) : row.raw;
  const id = fieldOf(raw, "_id");
  return id instanceof RawNumber || typeof id === "object" ? plainValue(id, false, 0) : id;
}

import type { FindingLevel, SnapshotFinding } from "./inspection.ts";

/**
 * Everything that can be wrong with a snapshot. `error`: a restore would lose or change data without a word, or fails,
 * maybe only after minutes (contract 7.3). `warning`: it works, but something is not as a backend writes it, or is not
 * kept. `%` stands for the detail.
 */
const DEFECTS = {
  // The container
  "not-a-zip": ["error", "This is no ZIP, or its end is missing: % It is usually a download that was cut off."],
  "trailing-data": [
    "error",
    "% bytes follow the end of the ZIP. The backend writes none, so the file was changed after it was made.",
  ],
  "leading-data": [
    "error",
    "% bytes stand before the first entry. The backend writes none, so the file was changed after it was made.",
  ],
  "directory-damaged": ["error", "The ZIP's directory is damaged: %"],
  "entry-unreadable": ["error", "The entry cannot be read: % A restore would fail."],
  "entry-size": ["error", "The entry's size is not the one that the ZIP's directory says: %"],
  "entry-crc": [
    "error",
    "The entry's checksum (CRC) is wrong: its content was changed or damaged. A restore would fail, for a stored file only after minutes, or take it as it is.",
  ],
  "entry-encrypted": ["error", "The entry is encrypted; the backend cannot read it."],
  "entry-method": ["error", "The entry is compressed by method %; only stored and deflated entries are readable."],
  "entry-twice": ["error", "The entry is there more than once; a restore would merge them without a word."],
  "entries-overlap": ["error", "The entry lies over another one: the ZIP is damaged, or made to trick its readers."],
  "entries-gap": ["warning", "% bytes before this entry belong to none."],
  bomb: ["error", "The ZIP says that it unpacks to % It was not read: it is damaged, or made to trick its readers."],
  "name-unsafe": ["error", "The entry's name leads outside of the snapshot or holds control characters."],
  "name-backslash": [
    "error",
    "The entry's name has \\ instead of /: the backend would recognise nothing and empty the deployment. It usually comes from a ZIP tool on Windows.",
  ],
  "name-encoding": ["error", "The entry's name is not valid UTF-8."],
  // The layout
  "no-tables": [
    "error",
    "There is no table in it: %. The backend would take it for an empty snapshot and delete everything.",
  ],
  "wrong-case": ["error", "The name has other upper and lower case than the backend's own (%), so it is ignored."],
  "unknown-entry": ["notice", "The backend does not know such an entry and ignores it."],
  "folder-in-front": ["warning", "The snapshot lies below a folder, so it was packed again after it was made."],
  "bad-identifier": ["error", '"%" is no name of a table or component; a restore would fail.'],
  "system-table": ["error", '"%" is a system table, which a snapshot never holds; a restore would skip it or fail.'],
  "table-twice": [
    "error",
    "The table is in the snapshot more than once, below different folders; a restore would merge them without a word.",
  ],
  "table-file-missing": [
    "error",
    "_tables lists the table, but its documents.jsonl is missing; a restore would leave the table empty without a word.",
  ],
  "table-emptied": [
    "error",
    "documents.jsonl is empty, but generated_schema.jsonl describes documents: its content was lost.",
  ],
  "tables-missing": [
    "warning",
    "There is no _tables: empty tables lose their numbers, so references to them may not fit afterwards.",
  ],
  "tables-incomplete": [
    "warning",
    "_tables does not list the table: an empty one loses its number, so references to it may not fit afterwards.",
  ],
  "tables-line": ["error", "The line of _tables is broken: %; a restore would fail."],
  "tables-system-number": [
    "error",
    "_tables gives the number %, which belongs to the system; a restore would take it without a word.",
  ],
  "tables-twice": ["error", "_tables lists % twice; a restore would fail."],
  "schema-missing": [
    "error",
    "generated_schema.jsonl is missing: a restore would turn all integers into floats without a word, and refuse bytes, NaN and infinities.",
  ],
  "schema-unreadable": [
    "error",
    "generated_schema.jsonl is not what a backend writes: %; a restore would fail or turn all integers into floats.",
  ],
  "schema-unknown": [
    "warning",
    'The shape in generated_schema.jsonl is "unknown": integers and bytes below it come back as text.',
  ],
  "schema-alone": ["error", "There is a generated_schema.jsonl without documents.jsonl: the table's content was lost."],
  "schema-mixed": [
    "error",
    "Tables of two encodings are in it (releases since 2026-03-11 and before): it was put together from two snapshots.",
  ],
  // The lines
  "json-broken": ["error", "The line is no valid JSON; a restore would fail, or it was cut."],
  "json-not-object": ["error", "The line is no JSON object; a restore would fail."],
  "line-empty": ["error", "The line is empty; a restore would fail."],
  "line-unfinished": ["error", "The last line has no line break: the file was cut, or changed after it was made."],
  "line-too-long": ["error", "The line is longer than any document can be: more than 8 MiB."],
  bom: ["error", "The file begins with a byte order mark; a restore would fail."],
  "not-utf8": ["error", "The line is not valid UTF-8; a restore would fail."],
  "key-twice": ["error", "A field is there twice in one object; a restore would keep only the last one."],
  "field-reserved": ["error", "A field's name begins with $, which is reserved; a restore would fail."],
  "field-name": ["error", "A field's name has characters that the backend refuses; a restore would fail."],
  "field-underscore": ["error", "A field's name begins with _, which is for system fields; a restore would fail."],
  "value-invalid": ["error", "$bytes or $float has no valid value; a restore would fail."],
  "value-old-encoding": [
    "error",
    "$bytes, $float or $integer is there, but the table's generated_schema.jsonl is of the encoding before 2026-03-11; a restore would fail.",
  ],
  "value-too-deep": ["error", "A value is nested deeper than 64 levels; a restore would fail."],
  "array-too-long": ["error", "An array has more than 8,192 elements; a restore would fail."],
  "object-too-large": ["error", "An object has more than 1,024 fields; a restore would fail."],
  "number-too-large": ["error", "A number is beyond what a float can hold; a restore would fail."],
  "integer-too-large": ["error", "An integer has more than 64 bits; a restore would turn it into an inexact float."],
  "number-foreign": [
    "error",
    "A number is written as JavaScript does and the backend never does (1e+21): the lines were serialised again, so floats like 1.0 may have become integers.",
  ],
  "creation-time-integer": [
    "error",
    "_creationTime has no decimal point: the lines were serialised again, probably by JavaScript, so floats like 1.0 have become integers.",
  ],
  "creation-time-missing": ["error", "_creationTime is missing; a restore would make up a new one."],
  "creation-time-invalid": ["error", "_creationTime is no time; a restore would fail, maybe only after minutes."],
  "id-missing": ["error", "_id is missing; a restore would make up a new one, and references to it would break."],
  "id-invalid": ["error", "_id is no document id, or its checksum is wrong; a restore would fail."],
  "id-number": [
    "error",
    "_id has the number of another table than _tables says or than the documents before it; a restore would fail or mix tables up.",
  ],
  "id-twice": ["error", "Two documents have one _id; a restore would fail or lose one."],
  // File storage
  "storage-metadata-missing": [
    "error",
    "Files are there, but _storage/documents.jsonl is not; a restore would ignore them without a word and keep the old files.",
  ],
  "storage-file-missing": [
    "error",
    "The metadata names a file that is not in the snapshot; a restore would drop it without a word.",
  ],
  "storage-line-missing": [
    "error",
    "The file has no line in _storage/documents.jsonl; a restore would give it a new URL and no content type.",
  ],
  "storage-line": ["error", "The line of _storage is broken: %; a restore would fail."],
  "storage-line-twice": ["error", "The file has two lines in _storage/documents.jsonl; a restore would keep the last."],
  "storage-sha256-missing": ["error", "The file's line has no sha256, so damage to it would go unnoticed."],
  "storage-sha256": ["error", "The file's content does not match the sha256 of its line; it was damaged or changed."],
  "storage-size": ["error", "The file's size is not the one of its line; %."],
  "storage-internal-id-missing": ["error", "The file's line has no internalId; a restore would give it a new URL."],
  "storage-internal-id-twice": ["error", "Two files have one internalId; their URL would serve the first."],
  "storage-file-twice": ["error", "The file is there twice; a restore would fail."],
  "storage-entry": [
    "error",
    "The entry's name is no id of a stored file; a restore would fail after the confirmation.",
  ],
  "storage-number": ["error", "The ids of the stored files have two table numbers; a restore would fail."],
  // What a backend cannot restore from its own export
  "storage-suffix-table": [
    "warning",
    "The name of the table % ends in _storage, so a backend takes its generated_schema.jsonl for a stored file and cannot restore its own export. The restore action leaves that entry out, and the values that the table has now survive that. Rename it before it gets others.",
  ],
  // the backup itself is whole, so it is made all the same
  "storage-suffix-lost": [
    "warning",
    "The name of the table % ends in _storage, so a backend takes its generated_schema.jsonl for a stored file and cannot restore its own export; and without that entry the table's integers, bytes, NaN or infinities would not survive. The restore action refuses this snapshot. Rename the table.",
  ],
  "component-storage-empty": [
    "notice",
    "The component % has no files. A backend that does not have the component yet refuses such a snapshot; the restore action leaves this entry out there, and nothing is lost.",
  ],
} as const satisfies Record<string, readonly [FindingLevel, string]>;

export type DefectKind = keyof typeof DEFECTS;

/** @param where the entry's name, with the line where there is one; never a document's content */
export function finding(kind: DefectKind, where: string, detail = ""): SnapshotFinding {
  const [level, text] = DEFECTS[kind];
  return { kind, level, where, message: text.replace("%", () => detail) };
}

/** What ends the reading of one entry or of the whole archive. */
export class Defect extends Error {
  readonly finding: SnapshotFinding;

  constructor(kind: DefectKind, where: string, detail?: string, options?: ErrorOptions) {
    super(`${where}: ${kind}`, options);
    this.finding = finding(kind, where, detail);
  }
}

/** One line of an import becomes a document: ids, creation times, sizes, the schema (contract 7.3). */
import { decodeId, newId } from "../ids.ts";
import type { Fields } from "../types.ts";
import { display, encode } from "../values.ts";
import { ImportError, SystemFailure } from "./import-error.ts";
import { parseRaw, type RowEncoding, rowValue } from "./rows.ts";
import type { Row } from "./source.ts";

const MAX_SIZE = 1024 * 1024;

export interface NewDocument {
  readonly fields: Fields;
  readonly id: string;
  /** undefined: now */
  readonly creationTime: number | undefined;
}

/**
 * @param row its number in the unit, from 1
 * @throws ImportError
 */
export function readDocument(
  source: Row,
  row: number,
  encoding: RowEncoding,
  table: { name: string; number: number },
): NewDocument {
  const value =
    "fields" in source ? source.fields : rowValue("line" in source ? parseRaw(source.line) : source.raw, row, encoding);
  const { _id, _creationTime, ...fields } = value;
  const document = { fields, id: idOf(_id, table), creationTime: timeOf(_creationTime, value) };
  const stray = Object.keys(fields).find((name) => name.startsWith("_"));
  if (stray !== undefined) {
    const rule = "which is only allowed for system fields like '_id'";
    throw notADocument(value, `Field '${stray}' starts with an underscore, ${rule}`);
  }
  const size = Buffer.byteLength(encode(value, "export_json"));
  if (size > MAX_SIZE) {
    throw ImportError.prefixed(`Value is too large (${(size / MAX_SIZE).toFixed(2)} MiB > maximum size 1 MiB)`);
  }
  return document;
}

function idOf(given: unknown, table: { name: string; number: number }): string {
  const fresh = newId(table.number);
  if (given === undefined) return fresh;
  if (typeof given !== "string") {
    throw ImportError.prefixed(`Provided document ID "${fresh}" doesn't match '_id' field ${display(given as Fields)}`);
  }
  const decoded = decodeId(given);
  if (decoded === undefined) throw ImportError.prefixed(`invalid _id '${given}'`);
  if (decoded.table !== table.number) {
    throw ImportError.prefixed(
      `_id ${given} cannot be imported into '${table.name}' because it came from a different deployment and conflict with preexisting tables in this deployment. ` +
        `Try deleting preexisting tables or importing into an empty\n${" ".repeat(25)}deployment.`,
    );
  }
  return given;
}

function timeOf(given: unknown, whole: Fields): number | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== "number") {
    const now = performance.timeOrigin + performance.now();
    throw ImportError.prefixed(
      `Provided creation time ${now} doesn't match '_creationTime' field in ${display(whole)}`,
    );
  }
  if (Number.isNaN(given)) throw new SystemFailure("_creationTime is NaN");
  if (given <= 0)
    throw notADocument(whole, `The '_creationTime' field should be a timestamp in milliseconds, is ${given}`);
  return given;
}

function notADocument(value: Fields, why: string): ImportError {
  return ImportError.prefixed(`Document(value: ${display(value)}) isn't a valid document: ${why}`);
}

/** The text for an id that is there already. */
export function existsAlready(id: string): ImportError {
  const advice = "Try to update it with `db.patch` or `db.replace`.";
  return ImportError.prefixed(`Cannot create document with _id ${id} that already exists. ${advice}`);
}

import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "./support/backend.ts";
import { at, listAt, send } from "./support/http.ts";
import { madeId } from "./support/ids.ts";
import { push } from "./support/push.ts";
import {
  errorOf,
  exportZip,
  type ImportOptions,
  importAll,
  snapshot,
  table,
  tables,
  zipOf,
} from "./support/snapshot.ts";
import type { ZipInput } from "./support/zip.ts";

const P = "Hit an error while importing:\n";
const [one, two, ref] = [madeId(10001, 1), madeId(10001, 2), madeId(10002, 1)];
const any = (n: number) => madeId(10003, n);

/** A small snapshot whose parts cases damage: numbers 10001 to 10003, two files. */
const numbers = { messages: 10001, refs: 10002, values: 10003 };
const files: ZipInput[] = [
  {
    name: "_storage/documents.jsonl",
    data: [1, 2]
      .map(
        (n) =>
          `{"_id":"${madeId(540, n)}","_creationTime":1795400000000.5,"sha256":null,"size":5,"contentType":"text/plain","internalId":"0000000${n}-0000-4000-8000-000000000000"}\n`,
      )
      .join("")
      .replaceAll('"sha256":null', '"sha256":"LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="'),
  },
  ...[1, 2].map((n) => ({ name: `_storage/${madeId(540, n)}.txt`, data: "hello" })),
];
const message = (id: string, time: number) =>
  `{"_creationTime":179540000000${time}.5,"_id":"${id}","author":"a","body":"b"}`;
const messages = table("messages", [message(one, 1), message(two, 2)]);
const refs = table("refs", [`{"_creationTime":1795400000010.5,"_id":"${ref}","message":"${one}"}`]);
const value = (fields: string, n = 1) => `{"_creationTime":179540000010${n}.5,"_id":"${any(n)}",${fields}}`;
const values = table("values", [value('"v":1')]);
const base = zipOf(tables(numbers), refs, values, messages, files);

const backend = useBackend((target) => push(target));
beforeAll(async () => {
  expect(errorOf(await importAll(backend, base, { mode: "replaceAll" }))).toBeUndefined();
});

const content = async () => {
  const zip = await exportZip(backend, true);
  return zip.entries.map((entry) => [entry.name, entry.name.includes("_tables") ? "" : entry.text]);
};
let before: unknown;
/** Imports and expects this failure, with everything as it was. */
async function fails(
  zip: Uint8Array | string,
  expected: string | RegExp,
  options: ImportOptions = { mode: "replaceAll" },
): Promise<void> {
  before ??= await content();
  const document = await importAll(backend, zip, options);
  const text = errorOf(document);
  if (typeof expected === "string") expect(text).toBe(expected);
  else expect(text).toMatch(expected);
}
afterEach(async () => {
  before = undefined;
});

describe("failures of a ZIP leave everything as it was", () => {
  const rows: [string, () => Uint8Array | string, string | RegExp][] = [
    ["no ZIP", () => "hello", `${P}invalid zip file`],
    ["an empty file", () => "", `${P}invalid zip file`],
    ["a truncated ZIP", () => base.subarray(0, base.length - 100), `${P}invalid zip file`],
    [
      "a wrong CRC of a documents.jsonl",
      () =>
        zipOf(
          tables(numbers),
          refs,
          values,
          messages.map((entry, n) => (n === 0 ? { ...entry, crc: 1 } : entry)),
        ),
      `${P}invalid zip file`,
    ],
    [
      "invalid UTF-8 in a documents.jsonl",
      () =>
        zipOf({ name: "values/documents.jsonl", data: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x0a]) }),
      `${P}invalid zip file`,
    ],
    [
      "a broken line",
      () => zipOf(table("values", [value('"v":1'), '{"a":'])),
      /^Row 2 wasn't valid JSON: EOF while parsing a value at line /,
    ],
    [
      "an empty line",
      () => zipOf(table("values", [value('"v":1'), "", value('"v":2', 2)])),
      /^Row 2 wasn't valid JSON: EOF while parsing a value at line 2 column 0$/,
    ],
    [
      "a BOM",
      () => zipOf(table("values", [`\ufeff${value('"v":1')}`])),
      "Row 1 wasn't valid JSON: expected value at line 1 column 1",
    ],
    [
      "NaN without quotes",
      () => zipOf(table("values", ['{"v":NaN}'])),
      /^Row 1 wasn't valid JSON: expected value at line 1 column /,
    ],
    ["1e400", () => zipOf(table("values", ['{"v":1e400}'])), /^Row 1 wasn't valid JSON: number out of range/],
    [
      "a lone surrogate",
      () => zipOf(table("values", ['{"v":"\\ud800"}'])),
      /^Row 1 wasn't valid JSON: unexpected end of hex escape/,
    ],
    [
      "two objects on a line",
      () => zipOf(table("values", ['{"v":1}{"v":2}'])),
      /^Row 1 wasn't valid JSON: trailing characters/,
    ],
    [
      "an unknown shape",
      () => zipOf(table("messages", [message(one, 1)], '"nope"')),
      `${P}cannot parse messages/generated_schema.jsonl: unexpected token at 'nope'`,
    ],
    [
      "Uniform",
      () => zipOf(table("values", ['{"v":1}'], '"Uniform"')),
      `${P}cannot parse values/generated_schema.jsonl: unexpected token at 'Uniform'`,
    ],
    [
      "a generated_schema that is an object",
      () => zipOf(table("values", ['{"v":1}'], "{}")),
      "Row 1 wasn't a valid Convex value: first line of generated_schema must be a string",
    ],
    [
      "a table name with -",
      () => zipOf(table("bad-name", ['{"v":1}'])),
      /^Hit an error while importing:\ntable name 'bad-name' invalid: Identifier bad-name has invalid character '-'/,
    ],
    [
      "a component name with -",
      () => zipOf(table("_components/bad-name/t", ['{"v":1}'])),
      /^Hit an error while importing:\ncomponent name 'bad-name' invalid: Identifier bad-name has invalid character '-'/,
    ],
    [
      "_tables without name",
      () => zipOf({ name: "_tables/documents.jsonl", data: '{"id":10001}\n' }, messages),
      "Row 1 wasn't a valid Convex value: table requires name",
    ],
    [
      "_tables with an id as text",
      () => zipOf({ name: "_tables/documents.jsonl", data: '{"name":"messages","id":"10001"}\n' }, messages),
      'Row 1 wasn\'t a valid Convex value: table requires id (received Some(String("10001")))',
    ],
    [
      "_tables with one table twice",
      () =>
        zipOf(
          { name: "_tables/documents.jsonl", data: '{"name":"messages","id":10001}\n{"name":"messages","id":10001}\n' },
          messages,
        ),
      `${P}\`_tables\` contains duplicate entries for \`messages\``,
    ],
    [
      "_tables with two tables of one number",
      () => zipOf(tables({ messages: 10001, ghost: 10001 }), messages),
      `${P}conflict between \`messages\` and \`ghost\` with number 10001`,
    ],
    [
      "a line that is a list",
      () => zipOf(table("values", ["[1]"])),
      "Row 1 wasn't a valid Convex value: expected object, received [1]",
    ],
    [
      "a line that is null",
      () => zipOf(table("values", ["null"])),
      "Row 1 wasn't a valid Convex value: expected object, received null",
    ],
    [
      "a field with $",
      () => zipOf(table("values", ['{"$x":1}'])),
      "Row 1 wasn't a valid Convex value: Field name $x starts with '$', which is reserved.",
    ],
    [
      "$integer without generated_schema",
      () => zipOf(table("values", ['{"v":1}', '{"v":2}', '{"v":{"$integer":"AAAAAAAAAAA="}}'], null)),
      "Row 3 wasn't a valid Convex value: Field name $integer starts with '$', which is reserved.",
    ],
    [
      "$float of an ordinary number",
      () => zipOf(table("values", ['{"v":{"$float":"AAAAAAAA8D8="}}'])),
      "Row 1 wasn't a valid Convex value: Float64 1 should be encoded as a number",
    ],
    [
      "a field name that is not ASCII",
      () => zipOf(table("values", ['{"é":1}'])),
      "Row 1 wasn't a valid Convex value: Field name é has invalid character 'é': Field names can only contain non-control ASCII characters",
    ],
    [
      "70 nested lists",
      () => zipOf(table("values", [`{"v":${"[".repeat(70)}${"]".repeat(70)}}`])),
      "Row 1 wasn't a valid Convex value: Value is too nested (nested 65 levels deep > maximum nesting 64)",
    ],
    [
      "a list of 8193",
      () => zipOf(table("values", [{ v: Array.from({ length: 8193 }, () => 1) }])),
      "Row 1 wasn't a valid Convex value: Array length is too long (8193 > maximum length 8192)",
    ],
    [
      "an object of 1025 fields",
      () => zipOf(table("values", [{ v: Object.fromEntries(Array.from({ length: 1025 }, (_, n) => [`f${n}`, 1])) }])),
      "Row 1 wasn't a valid Convex value: Object has too many fields (1025 > maximum number 1024)",
    ],
    [
      "a document above 1 MiB",
      () => zipOf(table("values", [{ v: "x".repeat(1_100_000) }])),
      /^Hit an error while importing:\nValue is too large \(1\.05 MiB > maximum size 1 MiB\)$/,
    ],
    [
      "a field starting with _",
      () => zipOf(table("values", ['{"_x":1}'])),
      /^Hit an error while importing:\nDocument\(value: \{.*\}\) isn't a valid document: Field '_x' starts with an underscore,/s,
    ],
    [
      "_creationTime 0",
      () => zipOf(table("values", [`{"_creationTime":0.0,"_id":"${any(1)}"}`])),
      /isn't a valid document: The '_creationTime' field should be a timestamp in milliseconds, is 0/,
    ],
    [
      "_creationTime without a point",
      () => zipOf(table("values", ['{"_creationTime":1000,"v":1}'])),
      /^Hit an error while importing:\nProvided creation time [\d.]+ doesn't match '_creationTime' field in \{_creationTime: 1000, /,
    ],
    [
      "_creationTime as text",
      () => zipOf(table("values", ['{"_creationTime":"x","v":1}'])),
      /^Hit an error while importing:\nProvided creation time [\d.]+ doesn't match '_creationTime' field in \{_creationTime: "x", /,
    ],
    ["_id garbage", () => zipOf(table("values", ['{"_id":"garbage"}'])), `${P}invalid _id 'garbage'`],
    [
      "_id in upper case",
      () => zipOf(table("values", [`{"_id":"${any(1).toUpperCase()}"}`])),
      `${P}invalid _id '${any(1).toUpperCase()}'`,
    ],
    [
      "_id with a wrong checksum",
      () => zipOf(table("values", [`{"_id":"${any(1).slice(0, -1)}${any(1).endsWith("0") ? "1" : "0"}"}`])),
      /^Hit an error while importing:\ninvalid _id '/,
    ],
    [
      "_id as a number",
      () => zipOf(table("values", ['{"_id":5.0}'])),
      /^Hit an error while importing:\nProvided document ID "[0-9a-z]+" doesn't match '_id' field 5\.0/,
    ],
    [
      "one _id twice",
      () => zipOf(table("messages", [message(one, 1), message(one, 2)])),
      `${P}Objects in table "messages" have duplicate _id fields`,
    ],
    [
      "an id of another table",
      () =>
        zipOf(
          tables({ messages: 10001, refs: 10002 }),
          messages,
          table("refs", [`{"_creationTime":1795400000010.5,"_id":"${madeId(10001, 9)}","message":"${one}"}`]),
        ),
      /^Hit an error while importing:\n_id [0-9a-z]+ cannot be imported into 'refs' because it came from a different deployment and conflict with preexisting tables in this deployment\. Try deleting/,
    ],
    [
      "a wrong type against the schema",
      () => zipOf(table("messages", ['{"author":"a","body":1.0}'])),
      `${P}Failed to insert or update a document in table "messages" because it does not match the schema: Value does not match validator.\nPath: .body\nValue: 1.0\nValidator: v.string()`,
    ],
    [
      "an extra field against the schema",
      () => zipOf(table("messages", ['{"author":"a","body":"b","more":1.0}'])),
      `${P}Failed to insert or update a document in table "messages" because it does not match the schema: Object contains extra field \`more\` that is not in the validator.\n\nValidator: v.object({author: v.string(), body: v.string()})`,
    ],
    [
      "a stored file whose sha256 differs",
      () => zipOf(files.map((entry, n) => (n === 1 ? { ...entry, data: "other" } : entry))),
      /^Hit an error while importing:\nSha256 mismatch\. Expected: LPJNul\+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ= Actual: /,
    ],
    [
      "another file in _storage",
      () => zipOf(files, { name: "_storage/Thumbs.db", data: "x" }),
      /^Hit an error while importing:\n_storage id 'Thumbs' invalid: Unable to decode ID: /,
    ],
    [
      "a table whose name ends in _storage",
      () => zipOf(table("my_storage", ['{"v":1}'])),
      `${P}_storage id 'generated_schema' invalid: Unable to decode ID: Invalid ID length 16`,
    ],
    [
      "_storage ids of two numbers",
      () =>
        zipOf({
          name: "_storage/documents.jsonl",
          data: `{"_id":"${madeId(540, 1)}"}\n{"_id":"${madeId(10050, 1)}"}\n`,
        }),
      /^Hit an error while importing:\n_storage entry has invalid ID [0-9a-z]+ \(TableNumber\(10050\) != TableNumber\(540\)\)/,
    ],
  ];
  it.each(rows)("7.3 %s", async (_label, zip, expected) => {
    await fails(zip(), expected);
    expect(await content()).toEqual(before);
  });
});

describe("failures of other formats and modes", () => {
  const rows: [string, string | Uint8Array, ImportOptions, string | RegExp][] = [
    [
      "jsonLines with a BOM",
      "\ufeff{}\n",
      { format: "jsonLines", tableName: "f" },
      "UTF-8 BOM is not supported. Please save your file without BOM.",
    ],
    [
      "jsonLines that is no UTF-8",
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
      { format: "jsonLines", tableName: "f" },
      "Import wasn't valid UTF8: stream did not contain valid UTF-8",
    ],
    [
      "a line that is no object",
      "5\n",
      { format: "jsonLines", tableName: "f" },
      "Row 1 wasn't a valid Convex value: expected object, received 5",
    ],
    [
      "a broken line",
      '{"a":1}\n{"a":\n',
      { format: "jsonLines", tableName: "f" },
      "Row 2 wasn't valid JSON: EOF while parsing a value at line 2 column 0",
    ],
    ["jsonArray that is an object", "{}", { format: "jsonArray", tableName: "f" }, "Not a JSON array"],
    [
      "jsonArray that is broken",
      "[{x",
      { format: "jsonArray", tableName: "f" },
      "Not valid JSON: key must be a string at line 1 column 3",
    ],
    [
      "jsonArray with a BOM",
      "\ufeff[]",
      { format: "jsonArray", tableName: "f" },
      "UTF-8 BOM is not supported. Please save your file without BOM.",
    ],
    [
      "jsonArray above 16 MiB",
      `[${" ".repeat(16_777_215)}]`,
      { format: "jsonArray", tableName: "f" },
      "Import is too large for JSON (16777217 bytes > maximum 16 MiB). Consider converting data to JSONLines",
    ],
    [
      "a CSV row that is too short",
      "a,b\n1\n",
      { format: "csv", tableName: "f" },
      "CSV row 2 doesn't have all of the fields in the header",
    ],
    [
      "a CSV row that is too long",
      "a,b\n1,2,3\n",
      { format: "csv", tableName: "f" },
      "CSV row 2 doesn't have all of the fields in the header",
    ],
    [
      "a CSV header with $",
      "$x\n1\n",
      { format: "csv", tableName: "f" },
      `CSV header "$x" isn't a valid field name: Field name $x starts with '$', which is reserved.`,
    ],
    [
      "a reserved table name",
      '{"a":1}\n',
      { format: "jsonLines", tableName: "_mine", mode: "append" },
      `${P}Invalid table name _mine starts with metadata prefix '_'`,
    ],
    [
      "append with ids of another number",
      zipOf(table("messages", [message(madeId(10044, 1), 1)])),
      { mode: "append" },
      `${P}table messages wants table number 10044 but was already assigned 10001`,
    ],
    [
      "a new table with a number that is taken",
      zipOf(table("clash", [`{"_id":"${madeId(10001, 5)}"}`])),
      { mode: "append" },
      `${P}New table \`clash\` has IDs that conflict with existing table \`messages\`. To delete all existing tables, import with \`npx convex import --replace-all\`.`,
    ],
    [
      "replace of a table with another number that others refer to",
      zipOf(table("messages", [message(madeId(10044, 1), 1)])),
      { mode: "replace" },
      `${P}Import changes table 'messages' which is referenced by 'refs' in the schema`,
    ],
  ];
  it.each(rows)("7.3 %s", async (_label, body, options, expected) => {
    await fails(body, expected, { mode: "replace", ...options });
    expect(await content()).toEqual(before);
  });
});

describe("damage that is not noticed", () => {
  const rows: [string, () => Uint8Array, () => Promise<unknown>, unknown][] = [
    [
      "documents.jsonl missing, table listed",
      () => zipOf(tables(numbers), refs, values, files),
      () => backend.tableSize("messages"),
      0,
    ],
    [
      "documents.jsonl cut at a line end",
      () => zipOf(tables(numbers), table("messages", [message(one, 1)]), refs),
      () => backend.tableSize("messages"),
      1,
    ],
    [
      "backslashes in the names",
      () => zipOf({ name: "messages\\documents.jsonl", data: `${message(one, 1)}\n` }),
      () => backend.tableSize("messages"),
      0,
    ],
    [
      "Documents.jsonl",
      () => zipOf({ name: "messages/Documents.jsonl", data: `${message(one, 1)}\n` }),
      () => backend.tableSize("messages"),
      0,
    ],
    [
      "one table twice, other documents",
      () => zipOf(table("messages", [message(one, 1)]), table("messages", [message(two, 2)], null)),
      () => backend.tableSize("messages"),
      2,
    ],
    [
      "a folder in front, ./, macOS extras",
      () =>
        zipOf(
          { name: "snap/.DS_Store", data: "x" },
          { name: "__MACOSX/snap/._x", data: "x" },
          table("snap/messages", [message(one, 1)]),
        ),
      () => backend.tableSize("messages"),
      1,
    ],
    [
      "system tables other than _tables and _storage",
      () => zipOf(table("_modules", ['{"a":1}']), table("messages", [message(one, 1)])),
      () => backend.tableSize("messages"),
      1,
    ],
    [
      "CRLF and no newline at the end",
      () => zipOf({ name: "messages/documents.jsonl", data: `${message(one, 1)}\r\n${message(two, 2)}` }),
      () => backend.tableSize("messages"),
      2,
    ],
    [
      "stored entries without compression",
      () => zipOf(messages.map((entry) => ({ ...entry, stored: true }))),
      () => backend.tableSize("messages"),
      2,
    ],
    [
      "bytes in front of and behind the ZIP",
      () => Buffer.concat([Buffer.from("junk"), zipOf(messages), Buffer.from("junk")]),
      () => backend.tableSize("messages"),
      2,
    ],
    [
      "a CRC of generated_schema that is wrong",
      () => zipOf(messages.map((entry, n) => (n === 1 ? { ...entry, crc: 1 } : entry))),
      () => backend.tableSize("messages"),
      2,
    ],
    [
      "one JSON key twice: the last wins",
      () => zipOf(table("messages", [message(one, 1).replace('"author":"a"', '"author":"x","author":"y"')])),
      async () => at(await backend.value("query", "messages:list"), 0, "author"),
      "y",
    ],
    [
      "a metadata line without its file",
      () => zipOf(files.slice(0, 2)),
      async () => listAt(await backend.value("query", "files:meta")).length,
      1,
    ],
    [
      "a file without metadata line",
      () => zipOf({ name: "_storage/documents.jsonl", data: "" }, ...files.slice(1)),
      async () => listAt(await backend.value("query", "files:meta")).length,
      2,
    ],
  ];
  it.each(rows)("7.3 accepted: %s", async (_label, zip, read, expected) => {
    expect(errorOf(await importAll(backend, zip(), { mode: "replaceAll" }))).toBeUndefined();
    expect(await read()).toEqual(expected);
    await importAll(backend, base, { mode: "replaceAll" });
  });

  it("7.3 _tables may list a table that is not in the ZIP: it appears, empty", async () => {
    await importAll(backend, zipOf(tables({ ...numbers, ghost: 10010 }), messages), { mode: "replaceAll" });
    expect((await exportZip(backend)).names()).toContain("ghost/documents.jsonl");
    await importAll(backend, base, { mode: "replaceAll" });
  });

  it("7.3 a metadata line without internalId: the file gets a new URL", async () => {
    const [metadata, ...rest] = files;
    const data = String(metadata?.data).replace(/,"internalId":"[^"]*"/g, "");
    await importAll(backend, zipOf({ name: "_storage/documents.jsonl", data }, rest), { mode: "replaceAll" });
    expect((await send(backend.url, "/api/storage/00000001-0000-4000-8000-000000000000")).status).toBe(404);
    await importAll(backend, base, { mode: "replaceAll" });
    expect((await send(backend.url, "/api/storage/00000001-0000-4000-8000-000000000000")).text).toBe("hello");
  });

  it("7.3 the recorded snapshot without files leaves the files alone", async () => {
    await importAll(backend, snapshot("all-value-types"), { mode: "replaceAll" });
    expect(listAt(await backend.value("query", "files:meta"))).toHaveLength(2);
    await importAll(backend, base, { mode: "replaceAll" });
  });
});

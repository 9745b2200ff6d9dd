import { describe, expect, it } from "vitest";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import {
  ANYTHING,
  BASE,
  changed,
  type Entries,
  HELLO_ENTRY,
  linesOf,
  MESSAGES,
  renamed,
  scratch,
  storageLine,
  UNIFORM,
  WORLD_ENTRY,
  WORLD_LINE,
  without,
  writeZip,
} from "../../support/snapshot.ts";

type Case = readonly [what: string, entries: Entries, kinds: readonly string[]];

async function kindsOf(entries: Entries): Promise<string[]> {
  await using files = await scratch();
  const { findings } = await inspectSnapshot(await writeZip(files.path("snapshot.zip"), entries));
  return findings.map(({ kind }) => kind);
}

const documents = "messages/documents.jsonl";
const schema = "messages/generated_schema.jsonl";
const numbers = "_tables/documents.jsonl";
const metadata = "_storage/documents.jsonl";
const NUMBERS = ['{"name":"messages","id":10001}', '{"name":"refs","id":10002}', '{"name":"anything","id":10003}'];

/** `anything` with one line. */
function value(
  fields: string,
  start = '{"_creationTime":1795400000101.5,"_id":"jd7000000400000028t00000018js9av",',
): Entries {
  return changed(BASE, "anything/documents.jsonl", `${start}${fields}}\n`);
}

const withMetadata = (...lines: string[]): Entries => changed(BASE, metadata, linesOf(lines));
const withNumbers = (...lines: string[]): Entries => changed(BASE, numbers, linesOf(lines));

/** The table "What a restore tool must check itself" of contract 7.3, line by line. */
const contract: readonly Case[] = [
  ["a table listed in _tables without documents.jsonl", without(BASE, documents, schema), ["table-file-missing"]],
  ["documents.jsonl missing, its generated_schema.jsonl there", without(BASE, documents), ["schema-alone"]],
  [
    "documents.jsonl cut inside a line",
    changed(BASE, documents, linesOf(MESSAGES).slice(0, -20)),
    ["line-unfinished", "json-broken"],
  ],
  [
    "documents.jsonl cut before its last line break",
    changed(BASE, documents, linesOf(MESSAGES).slice(0, -1)),
    ["line-unfinished"],
  ],
  [
    "documents.jsonl with 0 bytes where the old schema tells of documents",
    changed(changed(BASE, documents, ""), schema, '"{\\"_id\\": string}"\n'),
    ["table-emptied", "schema-mixed"],
  ],
  [
    "\\ in names",
    renamed(BASE, (name) => name.replaceAll("/", "\\")),
    [...Array(10).fill("name-backslash"), "no-tables"],
  ],
  [
    "Documents.jsonl",
    renamed(BASE, (name) => (name === documents ? "messages/Documents.jsonl" : name)),
    ["wrong-case", "schema-alone"],
  ],
  [
    "_Tables",
    renamed(BASE, (name) => (name === numbers ? "_Tables/documents.jsonl" : name)),
    ["wrong-case", "tables-missing"],
  ],
  ["a ZIP in the ZIP", [["snapshot.zip", "PK"]], ["unknown-entry", "no-tables"]],
  ["a ZIP of something else", [["holiday.jpg", "x"]], ["unknown-entry", "no-tables"]],
  ["a ZIP without entries", [], ["no-tables"]],
  ["a ZIP with only a README", [["README.md", "x"]], ["no-tables"]],
  ["the entry twice", [...BASE, [documents, MESSAGES[0] ?? ""]], ["entry-twice", "table-twice"]],
  [
    "two snapshots below two folders",
    [...renamed(BASE, (name) => `a/${name}`), [`b/${documents}`, linesOf(MESSAGES)]],
    ["unknown-entry", "table-twice", "folder-in-front", "folder-in-front"],
  ],
  ["_tables missing", without(BASE, numbers), ["tables-missing"]],
  ["_tables empty", withNumbers(), ["tables-incomplete", "tables-incomplete", "tables-incomplete"]],
  ["_tables incomplete", withNumbers(...NUMBERS.slice(1)), ["tables-incomplete"]],
  [
    "_tables lists a table that is not there",
    withNumbers(...NUMBERS, '{"name":"ghost","id":10077}'),
    ["table-file-missing"],
  ],
  [
    "_tables lists a number of the system range",
    withNumbers(...NUMBERS, '{"name":"ghost","id":510}'),
    ["tables-system-number", "table-file-missing"],
  ],
  ["_storage/documents.jsonl missing, files present", without(BASE, metadata), ["storage-metadata-missing"]],
  ["a metadata line without file", without(BASE, HELLO_ENTRY), ["storage-file-missing"]],
  ["a file without metadata line", withMetadata(WORLD_LINE), ["storage-line-missing"]],
  [
    "a metadata line without internalId",
    withMetadata(storageLine({ internalId: undefined }), WORLD_LINE),
    ["storage-internal-id-missing"],
  ],
  ["metadata without sha256", withMetadata(storageLine({ sha256: undefined }), WORLD_LINE), ["storage-sha256-missing"]],
  ["a damaged file with a right CRC", changed(BASE, HELLO_ENTRY, "hellO"), ["storage-sha256"]],
  ["a file of another size", changed(BASE, HELLO_ENTRY, "hell"), ["storage-sha256", "storage-size"]],
  ["a wrong size in the metadata", withMetadata(storageLine({ size: 6 }), WORLD_LINE), ["storage-size"]],
  [
    "one internalId on two files",
    withMetadata(storageLine({ internalId: "22222222-2222-4222-8222-222222222222" }), WORLD_LINE),
    ["storage-internal-id-twice"],
  ],
  [
    "a metadata line twice",
    withMetadata(storageLine(), storageLine({ contentType: null }), WORLD_LINE),
    ["storage-line-twice"],
  ],
  [
    "a metadata line with a second, escaped _id that is none",
    withMetadata(storageLine().replace(/\}$/, `,"\\u005fid":"${"x".repeat(50)}"}`), WORLD_LINE),
    ["key-twice", "storage-line-missing"],
  ],
  [
    "a metadata line that is too deep to be read",
    withMetadata(storageLine().replace(/\}$/, `,"z":${"[".repeat(300)}${"]".repeat(300)}}`), WORLD_LINE),
    ["value-too-deep", "storage-line-missing"],
  ],
  ["generated_schema missing", without(BASE, schema), ["schema-missing"]],
  ["generated_schema of an unknown shape", changed(BASE, schema, '"nope"\n'), ["schema-unreadable"]],
  ["generated_schema says unknown", changed(BASE, schema, '"unknown"\n'), ["schema-unknown", "schema-mixed"]],
  ["generated_schema of two encodings", changed(BASE, schema, '"{\\"_id\\": string}"\n'), ["schema-mixed"]],
  ["generated_schema is an object", changed(BASE, schema, "{}\n"), ["schema-unreadable"]],
  ["generated_schema is empty", changed(BASE, schema, ""), ["schema-unreadable"]],
  [
    "re-serialised by JavaScript",
    changed(BASE, documents, '{"_creationTime":1795400000001,"_id":"j57000000400000028t00000018js8sq","likes":1}\n'),
    ["creation-time-integer"],
  ],
  ["re-serialised by JavaScript, told by a float", value('"f":1e+21'), ["number-foreign"]],
  [
    "_creationTime missing",
    changed(BASE, documents, '{"_id":"j57000000400000028t00000018js8sq"}\n'),
    ["creation-time-missing"],
  ],
  ["_id missing", changed(BASE, documents, '{"_creationTime":1795400000001.5,"a":1.0}\n'), ["id-missing"]],
  ["one JSON key twice", value('"a":1.0,"a":2.0'), ["key-twice"]],
  ["one JSON key twice, once escaped", value('"ab":1.0,"a\\u0062":2.0'), ["key-twice", "field-name"]],
  ["one JSON key twice, deep down and not side by side", value('"o":[{"b":1.0,"a":{},"b":2.0}]'), ["key-twice"]],
];

/** What the backend refuses late, retries for minutes, or takes without a word. */
const others: readonly Case[] = [
  ["an empty line", changed(BASE, documents, `${MESSAGES[0]}\n\n${MESSAGES[1]}\n`), ["line-empty"]],
  ["a byte order mark", changed(BASE, documents, `\uFEFF${linesOf(MESSAGES)}`), ["bom", "json-broken"]],
  ["a broken line", changed(BASE, documents, '{"_id":\n'), ["json-broken"]],
  ["two objects on a line", value("}{"), ["json-broken"]],
  ["NaN without quotes", value('"a":NaN'), ["json-broken"]],
  ["a lone surrogate", value('"a":"\\ud800"'), ["json-broken"]],
  [
    "invalid UTF-8",
    changed(BASE, documents, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x0a])),
    ["not-utf8", "field-name", "creation-time-missing", "id-missing"],
  ],
  ["a line that is an array", changed(BASE, documents, "[1]\n"), ["json-not-object"]],
  ["a line that is null", changed(BASE, documents, "null\n"), ["json-not-object"]],
  ["a line longer than any document", value(`"a":"${"x".repeat(9 * 1024 * 1024)}"`), ["line-too-long"]],
  ["$ in a field's name", value('"$x":1.0'), ["field-reserved"]],
  ["$bytes beside another field", value('"a":{"$bytes":"AA==","b":1.0}'), ["field-reserved"]],
  ["$bytes that is no base64", value('"a":{"$bytes":"%"}'), ["value-invalid"]],
  ["$float of an ordinary number", value('"a":{"$float":"AAAAAAAA8D8="}'), ["value-invalid"]],
  [
    "$bytes under the old encoding",
    changed(BASE, "anything/generated_schema.jsonl", '"{\\"_id\\": string}"\n'),
    ["value-old-encoding", "schema-mixed"],
  ],
  ["a field's name beyond ASCII", value('"é":1.0'), ["field-name"]],
  ["a field's name with _", value('"_x":1.0'), ["field-underscore"]],
  ["an array of 8,193", value(`"a":[${Array(8193).fill("1.0").join()}]`), ["array-too-long"]],
  [
    "an object of 1,025 fields",
    value(Array.from({ length: 1023 }, (_, i) => `"k${i}":1.0`).join()),
    ["object-too-large"],
  ],
  ["nesting of 70 arrays", value(`"a":${"[".repeat(70)}${"]".repeat(70)}`), ["value-too-deep"]],
  ["nesting of 100,000 arrays", value(`"a":${"[".repeat(100_000)}${"]".repeat(100_000)}`), ["value-too-deep"]],
  ["1e400", value('"a":1e400'), ["number-too-large"]],
  ["2^63", value('"a":9223372036854775808'), ["integer-too-large"]],
  [
    "_creationTime 0",
    value('"a":1.0', '{"_creationTime":0.0,"_id":"jd7000000400000028t00000018js9av",'),
    ["creation-time-invalid"],
  ],
  [
    "_creationTime NaN",
    value('"a":1.0', '{"_creationTime":{"$float":"AAAAAAAA+H8="},"_id":"jd7000000400000028t00000018js9av",'),
    ["creation-time-invalid"],
  ],
  [
    "_creationTime as text",
    value('"a":1.0', '{"_creationTime":"x","_id":"jd7000000400000028t00000018js9av",'),
    ["creation-time-invalid"],
  ],
  [
    "an id with a wrong checksum",
    value('"a":1.0', '{"_creationTime":1795400000101.5,"_id":"jd7000000400000028t00000018js9a0",'),
    ["id-invalid"],
  ],
  [
    "an id in upper case",
    value('"a":1.0', '{"_creationTime":1795400000101.5,"_id":"JD7000000400000028T00000018JS9AV",'),
    ["id-invalid"],
  ],
  ["an id that is a number", value('"a":1.0', '{"_creationTime":1795400000101.5,"_id":5.0,'), ["id-invalid"]],
  ["an id of another table", changed(BASE, documents, linesOf([...MESSAGES, ANYTHING[0] ?? ""])), ["id-number"]],
  ["ids of another table than _tables says", changed(BASE, documents, linesOf(ANYTHING.slice(0, 1))), ["id-number"]],
  ["one id twice, side by side", changed(BASE, documents, linesOf([...MESSAGES, MESSAGES[2] ?? ""])), ["id-twice"]],
  ["one id twice, far apart", changed(BASE, documents, linesOf([...MESSAGES, MESSAGES[0] ?? ""])), ["id-twice"]],
  [
    "_tables with one number twice",
    withNumbers(...NUMBERS.slice(0, 2), '{"name":"anything","id":10001}'),
    ["tables-twice", "id-number"],
  ],
  [
    "_tables with one name twice",
    withNumbers(...NUMBERS, '{"name":"anything","id":10004}'),
    ["tables-twice", "id-number"],
  ],
  [
    "_tables with an id as text",
    withNumbers(...NUMBERS.slice(1), '{"name":"messages","id":"10001"}'),
    ["tables-line", "tables-incomplete"],
  ],
  ["_tables with a line without name", withNumbers(...NUMBERS, '{"id":10004}'), ["tables-line"]],
  ["a foreign file in _storage", [...BASE, ["_storage/Thumbs.db", "x"]], ["storage-entry"]],
  ["_storage/generated_schema.jsonl", [...BASE, ["_storage/generated_schema.jsonl", UNIFORM]], ["storage-entry"]],
  ["a stored file twice", [...BASE, [HELLO_ENTRY.replace(".txt", ".bin"), "hello"]], ["storage-file-twice"]],
  ["internalId that is none", withMetadata(storageLine({ internalId: "x" }), WORLD_LINE), ["storage-line"]],
  ["sha256 that is none", withMetadata(storageLine({ sha256: "%" }), WORLD_LINE), ["storage-line", "storage-sha256"]],
  [
    "a content type with a line break",
    withMetadata(storageLine({ contentType: "a\nb" }), WORLD_LINE),
    ["storage-line"],
  ],
  [
    "files of two table numbers",
    [
      ...changed(
        BASE,
        metadata,
        linesOf([
          storageLine(),
          WORLD_LINE,
          storageLine({ _id: "r97000000w00000028t00000018jspqq", internalId: "33333333-3333-4333-8333-333333333333" }),
        ]),
      ),
      ["_storage/r97000000w00000028t00000018jspqq", "hello"],
    ],
    ["storage-number"],
  ],
  ["a system table", [...BASE, ["_modules/documents.jsonl", ""]], ["system-table"]],
  ["a table whose name is none", [...BASE, ["bad-name/documents.jsonl", ""]], ["bad-identifier"]],
  [
    "a component whose name is none",
    [...BASE, ["_components/bad-name/_tables/documents.jsonl", ""]],
    ["bad-identifier"],
  ],
  [".. in a name", [...BASE, ["../messages/documents.jsonl", ""]], ["name-unsafe"]],
  ["an absolute name", [...BASE, ["/etc/passwd", ""]], ["name-unsafe"]],
  ["a drive letter", [...BASE, ["C:/x", ""]], ["name-unsafe"]],
  ["NUL in a name", [...BASE, ["a\0/documents.jsonl", ""]], ["name-unsafe"]],
];

/** What a restore is not harmed by. */
const harmless: readonly Case[] = [
  ["CRLF", changed(BASE, documents, linesOf(MESSAGES).replaceAll("\n", "\r\n")), []],
  ["directory entries", [["messages/", ""], ...BASE], []],
  ["blanks between the parts of a line", value('"a" : [ 1.0 , 2.0 ] , "b" : { } '), []],
  ["files before their metadata", [...BASE.slice(-2), ...BASE.slice(0, -2)], []],
  [
    "macOS extras",
    [...BASE, ["__MACOSX/messages/documents.jsonl", "x"], [".DS_Store", "x"]],
    ["unknown-entry", "unknown-entry"],
  ],
  [
    "every value",
    value(
      '"a":[-9223372036854775808,-0.0,1e21,5e-324,1.7976931348623157e308,null,true,false,"\\u001f\\n\\"\\\\",{}],"b":{"$bytes":""},"c":{"$integer":"AQAAAAAAAAA="},"k-e.y":"\u2028 é 😀"',
    ),
    [],
  ],
  [
    "equal creation times",
    changed(BASE, "anything/documents.jsonl", linesOf(ANYTHING).replaceAll("021.5", "020.5")),
    [],
  ],
  [
    "a table without documents and schema",
    [...changed(BASE, numbers, linesOf([...NUMBERS, '{"name":"none","id":10004}'])), ["none/documents.jsonl", ""]],
    [],
  ],
  [
    "a table whose name ends in _tables",
    [
      ...changed(BASE, numbers, linesOf([...NUMBERS, '{"name":"my_tables","id":10004}'])),
      ["my_tables/documents.jsonl", ""],
    ],
    [],
  ],
  [
    "old encoding with shapes of every kind",
    changed(
      changed(
        changed(
          changed(
            BASE,
            schema,
            '"{\\"_id\\": id<10001>, \\"a\\"?: array<int64 | null>, \\"r\\": record<field_name, float64>}"\n{"<x>":{"a":"int64"}}\n',
          ),
          "refs/generated_schema.jsonl",
          '"{\\"_id\\": string}"\n',
        ),
        "anything/generated_schema.jsonl",
        '"{\\"x\\": normalfloat64 | -0 | inf | -inf | NaN | \\"literal\\", }"\n',
      ),
      "anything/documents.jsonl",
      linesOf(ANYTHING.slice(0, 1)),
    ),
    [],
  ],
];

describe("what a restore tool must check itself", () => {
  it.each(contract)("%s", async (_what, entries, kinds) => {
    expect(await kindsOf(entries)).toEqual(kinds);
  });
});

describe("what a backend refuses late or takes without a word", () => {
  it.each(others)("%s", async (_what, entries, kinds) => {
    expect(await kindsOf(entries)).toEqual(kinds);
  });
});

describe("what does no harm", () => {
  it.each(harmless)("%s", async (_what, entries, kinds) => {
    expect(await kindsOf(entries)).toEqual(kinds);
  });

  it("is nothing to find in the base of all cases", async () => {
    expect(await kindsOf(BASE)).toEqual([]);
    expect(await kindsOf(without(BASE, metadata, HELLO_ENTRY, WORLD_ENTRY))).toEqual([]);
  });
});

it("says where: the entry, the line, and how many more", async () => {
  await using files = await scratch();
  const entries = changed(BASE, documents, `${MESSAGES[0]}\n{}}\n{{\n`);
  const { findings } = await inspectSnapshot(await writeZip(files.path("snapshot.zip"), entries));
  expect(findings).toMatchObject([
    { kind: "json-broken", level: "error", where: `${documents} line 2 (and 1 more lines)` },
  ]);
});

it("never shows a document", async () => {
  await using files = await scratch();
  const entries = changed(BASE, documents, '{"secret-key":"secret-value"\n');
  const inspection = await inspectSnapshot(await writeZip(files.path("snapshot.zip"), entries));
  expect(JSON.stringify(inspection)).not.toContain("secret");
});

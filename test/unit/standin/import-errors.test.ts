import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { writeZip, type ZipInput } from "../../contract/support/zip.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";

// Ids of tables 10001 (messages), 10002 (refs), 10003 (anything), 10044 and of files, all with good checksums.
const M1 = "j57000000400000028t00000018js8sq";
const M2 = "j57000000800000028t00000018js924";
const R1 = "j97000000400000028t00000018js929";
const A1 = "jd7000000400000028t00000018js9av";
const F1 = "kg2000000400000028t00000018jrs0k";
const HELLO = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
const UUID = "11111111-1111-4111-8111-111111111111";

const message = (id: string, time: number) => `{"_creationTime":${time}.5,"_id":"${id}","author":"a","body":"b"}\n`;
const tables = '{"name":"messages","id":10001}\n{"name":"refs","id":10002}\n{"name":"anything","id":10003}\n';
const file = `{"_id":"${F1}","_creationTime":1795400000030.5,"sha256":"${HELLO}","size":5,"contentType":"text/plain","internalId":"${UUID}"}\n`;

/** The snapshot that every case changes; `undefined` leaves an entry out. */
function snapshot(changes: Record<string, string | undefined> = {}, extra: ZipInput[] = []): Buffer {
  const entries: Record<string, string | undefined> = {
    "_tables/documents.jsonl": tables,
    "refs/documents.jsonl": `{"_creationTime":1795400000010.5,"_id":"${R1}","m":"${M1}"}\n`,
    "refs/generated_schema.jsonl": '"uniform"\n',
    "anything/documents.jsonl": `{"_creationTime":1795400000020.5,"_id":"${A1}","f":1.0,"i":1}\n`,
    "anything/generated_schema.jsonl": '"uniform"\n',
    "messages/documents.jsonl": message(M1, 1795400000001) + message(M2, 1795400000002),
    "messages/generated_schema.jsonl": '"uniform"\n',
    "_storage/documents.jsonl": file,
    [`_storage/${F1}.txt`]: "hello",
    ...changes,
  };
  const kept = Object.entries(entries).flatMap(([name, data]) => (data === undefined ? [] : [{ name, data }]));
  return writeZip([...kept, ...extra]);
}

let standin: Standin;
beforeAll(async () => {
  standin = await startStandin({ env: { STANDIN_RETRY_MS: "5" } });
});
afterAll(() => standin.stop());

async function importAll(body: Uint8Array | string, query = "format=zip&mode=replaceAll"): Promise<string> {
  const headers = { authorization: `Convex ${standin.adminKey}` };
  const answer = await fetch(`${standin.url}/api/import?${query}`, { method: "POST", headers, body });
  const json = (await answer.json()) as { message?: string; numWritten?: number };
  return json.message ?? `wrote ${json.numWritten}`;
}

function documents(table: string): unknown[] {
  return standin.backend.store.read((tx) => tx.scan("", table));
}

const line = (fields: string) => ({
  "anything/documents.jsonl": `{"_creationTime":1795400000101.5,"_id":"${A1}",${fields}}\n`,
});
const prefixed = (text: string) => `Hit an error while importing:\n${text}`;
const value = (text: string) => `Row 1 wasn't a valid Convex value: ${text}`;

describe("a snapshot that is refused (contract 7.3)", () => {
  beforeEach(async () => {
    expect(await importAll(snapshot())).toBe("wrote 4");
  });

  it.each<[string, Buffer, string]>([
    ["no ZIP", Buffer.from("hello"), prefixed("invalid zip file")],
    [
      "CRC of documents",
      snapshot({ "refs/documents.jsonl": undefined }, [{ name: "refs/documents.jsonl", data: "{}", crc: 1 }]),
      prefixed("invalid zip file"),
    ],
    [
      "an empty line",
      snapshot({ "messages/documents.jsonl": `${message(M1, 1795400000001)}\n${message(M2, 1795400000002)}` }),
      "Row 2 wasn't valid JSON: EOF while parsing a value at line 2 column 0",
    ],
    [
      "a BOM",
      snapshot({ "messages/documents.jsonl": `\uFEFF${message(M1, 1795400000001)}` }),
      "Row 1 wasn't valid JSON: expected value at line 1 column 1",
    ],
    [
      "a bad table name",
      snapshot({ "bad-name/documents.jsonl": "" }),
      prefixed(
        "table name 'bad-name' invalid: Identifier bad-name has invalid character '-': Identifiers can only contain alphanumeric characters or underscores",
      ),
    ],
    [
      "a bad component name",
      snapshot({ "_components/bad-name/x/documents.jsonl": "" }),
      prefixed(
        "component name 'bad-name' invalid: Identifier bad-name has invalid character '-': Identifiers can only contain alphanumeric characters or underscores",
      ),
    ],
    [
      "a table twice in _tables",
      snapshot({ "_tables/documents.jsonl": `${tables}{"name":"messages","id":10001}\n` }),
      prefixed("`_tables` contains duplicate entries for `messages`"),
    ],
    [
      "two tables with one number",
      snapshot({ "_tables/documents.jsonl": `${tables}{"name":"ghost","id":10001}\n` }),
      prefixed("conflict between `messages` and `ghost` with number 10001"),
    ],
    [
      "a number as text",
      snapshot({ "_tables/documents.jsonl": '{"name":"messages","id":"10001"}\n' }),
      value('table requires id (received Some(String("10001")))'),
    ],
    [
      "a number of 0",
      snapshot({ "_tables/documents.jsonl": '{"name":"messages","id":0}\n' }),
      value("table requires id (received Some(Number(0)))"),
    ],
    [
      "a line of _tables without name",
      snapshot({ "_tables/documents.jsonl": '{"id":10001}\n' }),
      value("table requires name"),
    ],
    [
      "an id of another table",
      snapshot({ "messages/documents.jsonl": message(M1, 1) + message(R1, 2) }),
      prefixed(
        `_id ${R1} cannot be imported into 'messages' because it came from a different deployment and conflict with preexisting tables in this deployment. Try deleting preexisting tables or importing into an empty\n                         deployment.`,
      ),
    ],
    [
      "one id twice",
      snapshot({ "messages/documents.jsonl": message(M1, 1) + message(M1, 2) }),
      prefixed('Objects in table "messages" have duplicate _id fields'),
    ],
    [
      "one entry twice",
      snapshot({}, [{ name: "messages/documents.jsonl", data: message(M1, 1) }]),
      prefixed(
        `Cannot create document with _id ${M1} that already exists. Try to update it with \`db.patch\` or \`db.replace\`.`,
      ),
    ],
    [
      "garbage as _id",
      snapshot({ "anything/documents.jsonl": '{"_id":"garbage"}\n' }),
      prefixed("invalid _id 'garbage'"),
    ],
    [
      "a field with underscore",
      snapshot(line('"_x":1.0')),
      prefixed(
        `Document(value: {_creationTime: 1795400000101.5, _id: "${A1}", _x: 1.0}) isn't a valid document: Field '_x' starts with an underscore, which is only allowed for system fields like '_id'`,
      ),
    ],
    [
      "_creationTime 0",
      snapshot({ "anything/documents.jsonl": `{"_creationTime":0.0,"_id":"${A1}"}\n` }),
      prefixed(
        `Document(value: {_creationTime: 0.0, _id: "${A1}"}) isn't a valid document: The '_creationTime' field should be a timestamp in milliseconds, is 0`,
      ),
    ],
    ["$set", snapshot(line('"a":{"$set":1}')), value("Field name $set starts with '$', which is reserved.")],
    [
      "$float of an ordinary number",
      snapshot(line('"a":{"$float":"AAAAAAAA8D8="}')),
      value("Float64 1 should be encoded as a number"),
    ],
    ["$bytes without base64", snapshot(line('"a":{"$bytes":"%"}')), value("Invalid byte 37, offset 0.")],
    [
      "a field name beyond ASCII",
      snapshot(line('"é":1.0')),
      value("Field name é has invalid character 'é': Field names can only contain non-control ASCII characters"),
    ],
    [
      "a long array",
      snapshot(line(`"a":[${Array(8193).fill("1").join()}]`)),
      value("Array length is too long (8193 > maximum length 8192)"),
    ],
    [
      "deep nesting",
      snapshot(line(`"a":${"[".repeat(70)}${"]".repeat(70)}`)),
      value("Value is too nested (nested 65 levels deep > maximum nesting 64)"),
    ],
    [
      "many fields",
      snapshot(line(`"a":{${Array.from({ length: 1025 }, (_, i) => `"k${i}":1`).join()}}`)),
      value("Object has too many fields (1025 > maximum number 1024)"),
    ],
    [
      "a large document",
      snapshot(line(`"a":"${"x".repeat(1_100_000)}"`)),
      prefixed("Value is too large (1.05 MiB > maximum size 1 MiB)"),
    ],
    ["an array as line", snapshot({ "anything/documents.jsonl": "[1]\n" }), value("expected object, received [1]")],
    [
      "two objects on a line",
      snapshot({ "anything/documents.jsonl": '{"a":1}{"b":2}\n' }),
      "Row 1 wasn't valid JSON: trailing characters at line 1 column 8",
    ],
    [
      "1e400",
      snapshot(line('"a":1e400')),
      expect.stringContaining("Row 1 wasn't valid JSON: number out of range at line 1 column") as unknown as string,
    ],
    [
      "a lone surrogate",
      snapshot(line('"a":"\\ud800"')),
      expect.stringContaining("Row 1 wasn't valid JSON: unexpected end of hex escape") as unknown as string,
    ],
    [
      "an unknown shape",
      snapshot({ "anything/generated_schema.jsonl": '"nope"\n' }),
      prefixed("cannot parse anything/generated_schema.jsonl: unexpected token at 'nope'"),
    ],
    [
      "a schema line that is an object",
      snapshot({ "anything/generated_schema.jsonl": "{}\n" }),
      value("first line of generated_schema must be a string"),
    ],
    [
      "an empty schema",
      snapshot({ "anything/generated_schema.jsonl": "" }),
      "Row 1 wasn't valid JSON: EOF while parsing a value at line 1 column 0",
    ],
    [
      "another file in _storage",
      snapshot({ "_storage/Thumbs.db": "x" }),
      prefixed("_storage id 'Thumbs' invalid: Unable to decode ID: Invalid ID length 6"),
    ],
    [
      "a table that ends in _storage",
      snapshot({ "my_storage/documents.jsonl": "", "my_storage/generated_schema.jsonl": '"uniform"\n' }),
      prefixed("_storage id 'generated_schema' invalid: Unable to decode ID: Invalid ID length 16"),
    ],
    [
      "a file with other content",
      snapshot({ [`_storage/${F1}.txt`]: "hallo" }),
      expect.stringContaining(`Sha256 mismatch. Expected: ${HELLO} Actual: `) as unknown as string,
    ],
    [
      "a file twice",
      snapshot({ [`_storage/${F1}.bin`]: "hello" }),
      prefixed(
        `Cannot create document with _id ${F1} that already exists. Try to update it with \`db.patch\` or \`db.replace\`.`,
      ),
    ],
    [
      "internalId that is no UUID",
      snapshot({ "_storage/documents.jsonl": file.replace(UUID, "x") }),
      value("Couldn't parse storage_id"),
    ],
    [
      "a content type that is none",
      snapshot({ "_storage/documents.jsonl": file.replace("text/plain", "nonsense") }),
      value("invalid HTTP header"),
    ],
    [
      "sha256 without base64",
      snapshot({ "_storage/documents.jsonl": file.replace(HELLO, "%") }),
      value("Invalid byte 37, offset 0."),
    ],
    [
      "a stored file with a wrong CRC, after its tries",
      snapshot({ [`_storage/${F1}.txt`]: undefined }, [{ name: `_storage/${F1}.txt`, data: "hello", crc: 1 }]),
      "Your request couldn't be completed. Try again later.",
    ],
  ])("%s", async (_what, zip, text) => {
    const before = [documents("messages"), documents("anything"), documents("_storage")];
    expect(await importAll(zip)).toEqual(text);
    expect([documents("messages"), documents("anything"), documents("_storage")]).toEqual(before);
  });
});

describe("a snapshot that is accepted in spite of a defect (contract 7.3)", () => {
  it.each<[string, Buffer, number, number]>([
    ["documents missing, table listed", snapshot({ "messages/documents.jsonl": undefined }), 2, 0],
    ["_tables missing", snapshot({ "_tables/documents.jsonl": undefined }), 4, 2],
    [
      "below two folders",
      writeZip([{ name: "a b/c/messages/documents.jsonl", data: message(M1, 1795400000001) }]),
      1,
      1,
    ],
    [
      "backslashes: nothing is recognised",
      writeZip([{ name: "messages\\documents.jsonl", data: message(M1, 1) }]),
      0,
      0,
    ],
    ["only a README", writeZip([{ name: "README.md", data: "x" }]), 0, 0],
    [
      "macOS extras",
      snapshot({ "__MACOSX/messages/._documents.jsonl": "x", ".DS_Store": "x", "_storage/.DS_Store": "x" }),
      4,
      2,
    ],
    [
      "CRLF and no newline at the end",
      snapshot({ "messages/documents.jsonl": (message(M1, 1) + message(M2, 2)).replaceAll("\n", "\r\n").trimEnd() }),
      4,
      2,
    ],
    [
      "a wrong CRC of generated_schema",
      snapshot({ "refs/generated_schema.jsonl": undefined }, [
        { name: "refs/generated_schema.jsonl", data: '"uniform"\n', crc: 1 },
      ]),
      4,
      2,
    ],
    ["a system table", snapshot({ "_modules/documents.jsonl": "{}" }), 4, 2],
    [
      "a table numbered like a system table, but empty",
      snapshot({ "_tables/documents.jsonl": `${tables}{"name":"ghost","id":510}\n` }),
      4,
      2,
    ],
  ])("%s", async (_what, zip, written, messages) => {
    await importAll(snapshot());
    expect(await importAll(zip)).toBe(`wrote ${written}`);
    expect(documents("messages")).toHaveLength(messages);
  });

  it("leaves files alone without _storage, drops metadata without file, takes a file without metadata", async () => {
    await importAll(snapshot());
    await importAll(snapshot({ "_storage/documents.jsonl": undefined, [`_storage/${F1}.txt`]: undefined }));
    expect(documents("_storage")).toHaveLength(1);
    await importAll(snapshot({ [`_storage/${F1}.txt`]: undefined }));
    expect(documents("_storage")).toHaveLength(0);
    await importAll(snapshot({ "_storage/documents.jsonl": "" }));
    expect(documents("_storage")).toMatchObject([{ _id: F1, contentType: null, sha256: HELLO }]);
  });
});

describe("numbers (contract 7.2)", () => {
  it("are Int64 or Float64 by their text under uniform, and all Float64 without a schema", async () => {
    const numbers =
      '"a":1,"b":1.0,"c":1e2,"d":-0,"e":9223372036854775808,"f":{"$integer":"AQAAAAAAAAA="},"g":9007199254740993';
    await importAll(snapshot(line(numbers)));
    expect(documents("anything")).toMatchObject([
      { a: 1n, b: 1, c: 100, d: -0, e: 2 ** 63, f: 1n, g: 9007199254740993n },
    ]);
    const plain = { ...line('"a":1,"g":9007199254740993'), "anything/generated_schema.jsonl": undefined };
    await importAll(snapshot(plain));
    expect(documents("anything")).toMatchObject([{ a: 1, g: 9007199254740992 }]);
  });

  it("come out of an old shape with its overrides", async () => {
    const shape = JSON.stringify(
      '{"_creationTime": normalfloat64, "_id": id<10003>, "n": int64, "b": bytes, "u": int64 | string, "m": record<field_name, int64>, "o"?: array<int64>}',
    );
    const schema = `${shape}\n{"<${A1}>":{"u":"int64"}}\n`;
    const old = line('"n":"-5","b":"AAH+/w==","u":"7","m":{"k":"1"},"o":["2"]');
    await importAll(snapshot({ ...old, "anything/generated_schema.jsonl": schema }));
    const bytes = Uint8Array.of(0, 1, 254, 255).buffer;
    expect(documents("anything")).toMatchObject([{ n: -5n, b: bytes, u: 7n, m: { k: 1n }, o: [2n] }]);
  });

  it("in CSV cells are Float64 or text", async () => {
    const csv = 'a,b,c,d,e,f\n1,+6,inf, 2,0x10,"x,""y"""\n';
    expect(await importAll(csv, "format=csv&mode=replace&tableName=cells")).toBe("wrote 1");
    expect(documents("cells")).toMatchObject([{ a: 1, b: 6, c: null, d: " 2", e: "0x10", f: 'x,"y"' }]);
    expect(await importAll("a,b\n1\n", "format=csv&mode=replace&tableName=cells")).toBe(
      "CSV row 2 doesn't have all of the fields in the header",
    );
    const bad = Buffer.concat([Buffer.from("a\n"), Buffer.from([0xff]), Buffer.from("\n")]);
    expect(await importAll(bad, "format=csv&mode=replace&tableName=cells")).toBe(
      "Failed to parse CSV row 2: CSV parse error: record 1 (line 2, field: 1, byte: 2): invalid utf-8: invalid UTF-8 in field 1 near byte index 0",
    );
  });
});

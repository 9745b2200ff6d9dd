import { createHash } from "node:crypto";
import { encodeId } from "../standin/ids.ts";
import { README } from "../standin/snapshots/readme.ts";
import { ZipWriter } from "../standin/snapshots/zip-writer.ts";
import { seeded } from "./random.ts";

export interface GeneratorOptions {
  /** Uncompressed bytes of all documents, about. */
  readonly bytes: number;
  readonly seed?: number;
  /** Stored files; a twentieth of `bytes` altogether. */
  readonly files?: number;
}

const UNIFORM = Buffer.from('"uniform"\n');
const FIRST_TABLE = 10001;
const STORAGE_TABLE = 540;
const FIRST_TIME = 1_795_400_000_000;
const CHUNK = 256 * 1024;
const WORDS =
  "order paid refund customer address delivery late broken parcel invoice total discount member since café naïve 東京 😀 note".split(
    " ",
  );

/** Tables by component, with their share of the documents' bytes. */
const COMPONENTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "": { users: 0.1, orders: 0.4, events: 0.35, values: 0.02, empty: 0 },
  widget: { counters: 0.02, log: 0.06 },
  "widget/inner": { cache: 0.05 },
  mailer: {},
};

/**
 * A snapshot as a backend writes it (contract 7.2), made up from a seed: the same options give the same bytes. Several
 * components, every type of value, stored files, a component with tables and one without. Streams, whatever the size.
 */
export async function generateSnapshot(path: string, options: GeneratorOptions): Promise<void> {
  const { bytes, seed = 1, files = 12 } = options;
  const zip = await ZipWriter.create(path);
  await zip.add("README.md", README);
  for (const [component, tables] of Object.entries(COMPONENTS)) {
    const lines = Object.keys(tables).map((name, i) => `{"name":"${name}","id":${FIRST_TABLE + i}}\n`);
    await zip.add(`${prefixOf(component)}_tables/documents.jsonl`, lines.join(""));
  }
  for (const [component, tables] of Object.entries(COMPONENTS)) {
    for (const [i, [name, share]] of Object.entries(tables).entries()) {
      const table = new TableSource(name, FIRST_TABLE + i, seed + i + component.length * 100);
      await zip.addStream(`${prefixOf(component)}${name}/documents.jsonl`, table.chunks(bytes * share));
      await zip.add(`${prefixOf(component)}${name}/generated_schema.jsonl`, UNIFORM);
    }
  }
  await writeStorage(zip, "", files - 1, bytes / 20, seed);
  for (const component of ["widget", "widget/inner", "mailer"]) {
    await writeStorage(zip, component, component === "widget" ? 1 : 0, 5000, seed + 7);
  }
  await zip.finish();
}

function prefixOf(component: string): string {
  return component
    .split("/")
    .map((name) => (name === "" ? "" : `_components/${name}/`))
    .join("");
}

/** Documents of one table in the order of their ids. */
class TableSource {
  readonly #name: string;
  readonly #ids: Ids;
  readonly #random: () => number;

  constructor(name: string, number: number, seed: number) {
    this.#name = name;
    this.#random = seeded(seed);
    this.#ids = new Ids(number, this.#random);
  }

  *chunks(bytes: number): Generator<Buffer> {
    let text = "";
    let written = 0;
    while (written + text.length < bytes) {
      text += this.#document();
      if (text.length < CHUNK) continue;
      written += text.length;
      yield Buffer.from(text);
      text = "";
    }
    yield Buffer.from(text);
  }

  #document(): string {
    const time = FIRST_TIME + Math.floor(this.#random() * 1e9) + 0.5 + Math.floor(this.#random() * 100) / 1024;
    return `{"_creationTime":${time},"_id":"${this.#ids.next()}",${this.#fields()}}\n`;
  }

  #fields(): string {
    const random = this.#random;
    const below = (limit: number): number => Math.floor(random() * limit);
    if (this.#name === "values") return VALUES[below(VALUES.length)] ?? "";
    if (this.#name === "counters" || this.#name === "users") {
      return `"count":${below(1e6)},"email":"${word(random)}.${below(1e6)}@example.com","name":"${word(random)} ${word(random)}","score":${below(100)}.0`;
    }
    const items = Array.from(
      { length: 1 + below(4) },
      () => `{"price":${below(1e5) / 100 + 0.001},"sku":"${word(random)}-${below(1e5)}"}`,
    );
    const text = Array.from({ length: 10 + below(40) }, () => word(random)).join(" ");
    return `"items":[${items.join()}],"open":${below(2) === 0},"text":"${text}","total":${below(1e6)},"user":"${this.#ids.other()}"`;
  }
}

/** Every type of value, and those that readers trip over. */
const VALUES = [
  '"value":9223372036854775807',
  '"value":-9223372036854775808',
  '"value":[1,1.0,"1",null,true,[{"$float":"AAAAAAAA+H8="},[-0.0]]]',
  '"value":{"$float":"AAAAAAAA8H8="}',
  '"value":{"$bytes":"AAH+/w=="}',
  '"value":{"$bytes":""}',
  '"value":[1e21,5e-324,1.7976931348623157e308,0.3333333333333333,9007199254740992.0]',
  '"value":{"0":0.0,"k-e.y":2,"key with space":1.0}',
  '"value":"\\u001f\\b\\f\\n\\r\\t\\"\\\\ \u2028 \u007f é 😀"',
  '"value":[[],{},"",false]',
];

function word(random: () => number): string {
  return WORDS[Math.floor(random() * WORDS.length)] ?? "";
}

/** Ids that ascend, each with random bytes behind. */
class Ids {
  readonly #table: number;
  readonly #random: () => number;
  #count = 0;

  constructor(table: number, random: () => number) {
    this.#table = table;
    this.#random = random;
  }

  next(): string {
    this.#count += 1 + Math.floor(this.#random() * 5);
    return this.#id(this.#count);
  }

  /** Of some document of the table, there or not. */
  other(): string {
    return this.#id(Math.floor(this.#random() * (this.#count + 1)));
  }

  #id(count: number): string {
    const internal = Buffer.alloc(16);
    internal.writeUInt32BE(count, 0);
    for (const at of [4, 7, 10]) internal.writeUIntBE(Math.floor(this.#random() * 0x1000000), at, 3);
    internal.writeUInt16BE(20_780, 14);
    return encodeId({ table: this.#table, internal });
  }
}

async function writeStorage(
  zip: ZipWriter,
  component: string,
  files: number,
  bytes: number,
  seed: number,
): Promise<void> {
  const random = seeded(seed);
  const ids = new Ids(STORAGE_TABLE, random);
  const folder = `${prefixOf(component)}_storage`;
  const stored = Array.from({ length: files }, (_, i) => {
    const size = Math.floor((bytes / Math.max(1, files)) * (0.5 + random()));
    return { id: ids.next(), content: (): Generator<Buffer> => noise(size, seed * 1000 + i), size, i };
  });
  const lines = stored.map(({ id, content, size, i }) => {
    const hash = createHash("sha256");
    for (const chunk of content()) hash.update(chunk);
    const internalId = `00000000-0000-4000-8000-${(i + component.length * 1e6).toString(16).padStart(12, "0")}`;
    const contentType = i % 3 === 0 ? null : "application/octet-stream";
    const start = `{"_id":"${id}","_creationTime":${FIRST_TIME + i}.5,"sha256":"${hash.digest("base64")}","size":${size}`;
    return `${start},"contentType":${JSON.stringify(contentType)},"internalId":"${internalId}"}\n`;
  });
  await zip.add(`${folder}/documents.jsonl`, lines.join(""));
  for (const { id, content, size, i } of stored) {
    const name = `${folder}/${id}${i % 3 === 0 ? "" : ".bin"}`;
    if (size <= CHUNK) await zip.add(name, Buffer.concat([...content()]));
    else await zip.addStream(name, content());
  }
}

/** Bytes that do not shrink. */
function* noise(size: number, seed: number): Generator<Buffer> {
  const random = seeded(seed);
  for (let left = size; left > 0; left -= CHUNK) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, left));
    for (let i = 0; i + 4 <= chunk.length; i += 4) chunk.writeUInt32LE(Math.floor(random() * 2 ** 32), i);
    chunk.fill(seed & 0xff, chunk.length & ~3);
    yield chunk;
  }
}

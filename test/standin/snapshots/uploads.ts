/** Uploads of imports in parts: appended on local storage (contract 7.3), a multipart upload on S3 (7.4). */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { ApiError, type Blobs, internalError } from "../types.ts";

export interface Uploads {
  /** The upload token. */
  start(): Promise<string>;
  /** The part's token. @throws ApiError */
  part(token: string, number: number, bytes: Buffer): Promise<string>;
  /** The blob that holds the content. @throws ApiError */
  finish(token: string, partTokens: readonly string[]): Promise<string>;
  /** What the import's document calls the blob. */
  shownKey(blob: string): string;
}

/** @throws ApiError 500 for a token without such a field */
function fieldOf(token: string, name: string): string {
  try {
    const value: unknown = JSON.parse(token)?.[name];
    if (typeof value === "string" && /^[0-9a-f-]{36}$/.test(value)) return value;
  } catch {
    // no JSON is as bad as another token
  }
  throw internalError();
}

/** Part numbers and part tokens do not matter, bytes are appended as they come; a finished token still works. */
export class LocalUploads implements Uploads {
  readonly #blobs: Blobs;

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  async start(): Promise<string> {
    const objectKey = randomUUID();
    const filepath = this.#blobs.path("snapshot_imports", objectKey);
    await writeFile(filepath, "");
    return JSON.stringify({ objectKey, filepath });
  }

  async part(token: string, _number: number, bytes: Buffer): Promise<string> {
    await appendFile(this.#blobs.path("snapshot_imports", this.#keyOf(token)), bytes);
    return "";
  }

  async finish(token: string): Promise<string> {
    return this.#keyOf(token);
  }

  shownKey(blob: string): string {
    return this.#blobs.path("snapshot_imports", blob);
  }

  #keyOf(token: string): string {
    const key = fieldOf(token, "objectKey");
    if (!this.#blobs.has("snapshot_imports", key)) throw internalError();
    return key;
  }
}

const MIN_PART = 5 * 1024 * 1024;
const MAX_NUMBER = 9_999;

/** Parts are files in a folder until the end; their tokens are compared, and only the named ones count. */
export class S3Uploads implements Uploads {
  readonly #blobs: Blobs;
  /** `<bucket>/<prefix>` */
  readonly #place: string;

  constructor(blobs: Blobs, place: string) {
    this.#blobs = blobs;
    this.#place = place;
  }

  async start(): Promise<string> {
    const [objectKey, uploadId] = [randomUUID(), randomUUID()];
    await mkdir(this.#folder(objectKey));
    return JSON.stringify({ objectKey, uploadId });
  }

  async part(token: string, number: number, bytes: Buffer): Promise<string> {
    const key = fieldOf(token, "objectKey");
    if (number > MAX_NUMBER) {
      throw new ApiError(400, "Invalid part number", "Object part number cannot exceed 10,000 or be 0.");
    }
    if (number === 0 || !existsSync(this.#folder(key)) || this.#blobs.has("snapshot_imports", key))
      throw internalError();
    await writeFile(join(this.#folder(key), String(number)), bytes);
    return tokenOf(number, bytes);
  }

  async finish(token: string, partTokens: readonly string[]): Promise<string> {
    const key = fieldOf(token, "objectKey");
    if (!existsSync(this.#folder(key))) throw internalError();
    if (this.#blobs.has("snapshot_imports", key)) return key;
    const parts = new Map<number, Buffer>();
    for (const name of await readdir(this.#folder(key))) {
      parts.set(Number(name), await readFile(join(this.#folder(key), name)));
    }
    await writeFile(this.#blobs.path("snapshot_imports", key), Buffer.concat(chosen(parts, partTokens)));
    return key;
  }

  shownKey(blob: string): string {
    return `${this.#place}${blob}`;
  }

  #folder(key: string): string {
    return `${this.#blobs.path("snapshot_imports", key)}.parts`;
  }
}

function tokenOf(partNumber: number, bytes: Buffer): string {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(bytes));
  const etag = `"${createHash("md5").update(bytes).digest("hex")}"`;
  return JSON.stringify({ partNumber, etag, checksum: checksum.toString("base64"), size: bytes.length });
}

/** The named parts in the order of their numbers. @throws ApiError 500 for everything that a store refuses */
function chosen(parts: ReadonlyMap<number, Buffer>, tokens: readonly string[]): Buffer[] {
  const found = tokens.map((token) => {
    const [number, bytes] = [...parts].find(([n, content]) => matches(token, tokenOf(n, content))) ?? [];
    if (number === undefined || bytes === undefined) throw internalError();
    return { number, bytes };
  });
  found.sort((a, b) => a.number - b.number);
  const twice = new Set(found.map((part) => part.number)).size < found.length;
  const small = found.slice(0, -1).some((part) => part.bytes.length < MIN_PART);
  if (twice || small) throw internalError();
  return found.map((part) => part.bytes);
}

/** Everything but the size is compared. */
function matches(given: string, real: string): boolean {
  const size = /,"size":\d+\}$/;
  return given.replace(size, "") === real.replace(size, "");
}

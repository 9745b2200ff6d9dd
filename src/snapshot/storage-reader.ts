import { createHash, type Hash, hash as hashOf } from "node:crypto";
import type { DefectKind } from "./defects.ts";
import { LinesDigest } from "./digest.ts";
import { prefixOf } from "./entries.ts";
import type { Findings } from "./findings.ts";
import type { StorageFacts } from "./inspection.ts";
import * as FLAG from "./line-flags.ts";
import type { LineScanner, LineSink, ScannedLine } from "./line-scanner.ts";
import { StoredFiles } from "./stored-files.ts";
import { TextSet } from "./text-set.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SHA256 = /^[A-Za-z0-9+/]{43}=$/;

/** The file storage of one component: metadata lines, then files, in any order. */
export class StorageReader implements LineSink {
  readonly component: string;
  /** `_storage/documents.jsonl` was there. */
  listed = false;
  readonly #findings: Findings;
  readonly #scanner: LineScanner;
  readonly #metadata = new StoredFiles();
  readonly #internalIds = new TextSet();
  /** Files whose line came after them, or never. */
  readonly #waiting = new Map<string, { readonly entry: string; readonly sha256: string; readonly size: number }>();
  readonly #digest = new LinesDigest();
  readonly #entry: string;
  #number = 0;
  #files = 0;
  #bytes = 0;
  #lineBytes = 0;

  constructor(component: string, findings: Findings, scanner: LineScanner) {
    this.component = component;
    this.#findings = findings;
    this.#entry = `${prefixOf(component)}_storage/documents.jsonl`;
    this.#scanner = scanner;
  }

  get facts(): StorageFacts {
    return { component: this.component, files: this.#files, bytes: this.#bytes, digest: this.#digest.hex };
  }

  /** Listed, but without a line: what the backend cannot restore where the component does not exist yet. */
  get empty(): boolean {
    return this.listed && this.#lineBytes === 0;
  }

  /** Takes the lines; `end` when all of them were read. */
  lines(): { push(chunk: Buffer): void; end(): void } {
    this.#scanner.begin(this);
    return {
      push: (chunk) => {
        this.#lineBytes += chunk.length;
        this.#scanner.push(chunk);
      },
      end: () => {
        this.listed = true;
        this.#scanner.end();
      },
    };
  }

  defect(kind: DefectKind, line: number, detail?: string): void {
    this.#findings.add(kind, `${this.#entry} line ${line}`, detail);
  }

  line(scanned: ScannedLine, line: number): void {
    const { flags, idTable } = scanned;
    if ((flags & FLAG.broken) !== 0) {
      this.defect("json-broken", line);
      return;
    }
    if ((flags & FLAG.notObject) !== 0) {
      this.defect("json-not-object", line);
      return;
    }
    if ((flags & FLAG.tooDeep) !== 0) {
      this.defect("value-too-deep", line);
      return;
    }
    if ((flags & FLAG.keyTwice) !== 0) {
      this.defect("key-twice", line);
      return;
    }
    if ((flags & FLAG.timeMissing) !== 0) this.defect("creation-time-missing", line);
    if ((flags & FLAG.timeInvalid) !== 0) this.defect("creation-time-invalid", line);
    if ((flags & FLAG.timeInteger) !== 0) this.defect("creation-time-integer", line);
    if ((flags & FLAG.idMissing) !== 0) {
      this.defect("id-missing", line);
      return;
    }
    if ((flags & FLAG.idInvalid) !== 0) {
      this.defect("id-invalid", line);
      return;
    }
    if (this.#number === 0) this.#number = idTable;
    else if (this.#number !== idTable) this.defect("storage-number", line);
    this.#take(JSON.parse(this.#scanner.textOf(scanned)) as Record<string, unknown>, line);
  }

  #take(fields: Record<string, unknown>, line: number): void {
    const id = String(fields["_id"]);
    if (this.#metadata.has(id)) {
      this.defect("storage-line-twice", line);
      return;
    }
    const { sha256, size, contentType, internalId } = fields;
    const problem =
      lineProblem("sha256", sha256, SHA256) ??
      lineProblem("internalId", internalId, UUID) ??
      (typeof contentType === "string" && /[^\t\x20-\x7e\x80-\xff]/.test(contentType)
        ? "contentType is none"
        : undefined);
    if (problem !== undefined) this.defect("storage-line", line, problem);
    if (sha256 === undefined || sha256 === null) this.defect("storage-sha256-missing", line);
    if (internalId === undefined || internalId === null) this.defect("storage-internal-id-missing", line);
    else if (!this.#internalIds.add(String(internalId))) this.defect("storage-internal-id-twice", line);
    this.#metadata.add(id, {
      sha256: typeof sha256 === "string" ? sha256 : undefined,
      size: typeof size === "number" ? size : undefined,
      contentType: typeof contentType === "string" ? contentType : null,
      internalId: typeof internalId === "string" ? internalId : undefined,
    });
  }

  /**
   * Takes the content of one file; `end` when all of it was read. What comes in one piece is hashed in one call: a Hash
   * for each of many files would hold memory of its own until it is collected.
   * @param expected bytes
   */
  file(id: string, entry: string, expected: number): { push(chunk: Buffer): void; end(): void } {
    let hash: Hash | undefined;
    let whole: string | undefined;
    let size = 0;
    return {
      push: (chunk) => {
        size += chunk.length;
        if (chunk.length === expected) whole = hashOf("sha256", chunk, "base64");
        else {
          hash ??= createHash("sha256");
          hash.update(chunk);
        }
      },
      end: () => this.#takeFile(id, entry, whole ?? hash?.digest("base64") ?? hashOf("sha256", "", "base64"), size),
    };
  }

  #takeFile(id: string, entry: string, sha256: string, size: number): void {
    this.#files += 1;
    this.#bytes += size;
    if (this.#scanner.tableNumber(id) === 0) {
      this.#findings.add("storage-entry", entry);
      return;
    }
    if (!this.#metadata.has(id) && !this.listed) {
      if (this.#waiting.has(id)) this.#findings.add("storage-file-twice", entry);
      this.#waiting.set(id, { entry, sha256, size });
    } else this.#compare(id, { entry, sha256, size });
  }

  #compare(id: string, { entry, sha256, size }: { entry: string; sha256: string; size: number }): void {
    const taken = this.#metadata.take(id);
    const metadata = taken === "seen" ? undefined : taken;
    if (taken === undefined) this.#findings.add("storage-line-missing", entry);
    else if (metadata === undefined) this.#findings.add("storage-file-twice", entry);
    else {
      if (metadata.sha256 !== undefined && metadata.sha256 !== sha256) this.#findings.add("storage-sha256", entry);
      if (metadata.size !== size) {
        this.#findings.add("storage-size", entry, `${size} bytes instead of ${metadata.size ?? "a number"}`);
      }
    }
    this.#digest.add(JSON.stringify([id, metadata?.internalId ?? null, metadata?.contentType ?? null, sha256]));
  }

  /** When all entries were read. */
  judge(): void {
    if (!this.listed && this.#files > 0)
      this.#findings.add("storage-metadata-missing", `${prefixOf(this.component)}_storage/`);
    for (const [id, file] of this.#waiting) {
      if (this.listed || this.#metadata.has(id)) this.#compare(id, file);
    }
    for (const id of this.#metadata.left()) {
      this.#findings.add("storage-file-missing", `${prefixOf(this.component)}_storage/${id}`);
    }
  }
}

function lineProblem(name: string, value: unknown, form: RegExp): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" && form.test(value) ? undefined : `${name} is none`;
}

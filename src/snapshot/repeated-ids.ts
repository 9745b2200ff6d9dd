import type { Archive, ArchiveEntry } from "./archive.ts";
import { type LineSink, Lines } from "./lines.ts";
import { LineScanner } from "./scanner.ts";

/** Ids held in memory at a time: 500,000 take some 50 MB. */
const AT_ONCE = 500_000;

/**
 * The number of the first line whose `_id` stood in an earlier one; undefined without any. Only needed for tables whose
 * ids do not ascend, which a backend never writes: it reads the table once for each half million of documents, so
 * that memory stays flat.
 */
export async function firstRepeatedId(
  archive: Archive,
  entry: ArchiveEntry,
  documents: number,
): Promise<number | undefined> {
  const rounds = Math.ceil(documents / AT_ONCE);
  for (let round = 0; round < rounds; round += 1) {
    const ids = new SomeIds(round, rounds);
    await archive.read(entry, (chunk) => ids.push(chunk));
    ids.end();
    if (ids.repeated !== undefined) return ids.repeated;
  }
  return undefined;
}

/** The ids of one round: those whose random part falls to it. */
class SomeIds implements LineSink {
  readonly #lines = new Lines(this);
  readonly #scanner = new LineScanner();
  readonly #ids = new Set<string>();
  readonly #round: number;
  readonly #rounds: number;
  repeated: number | undefined;

  constructor(round: number, rounds: number) {
    this.#round = round;
    this.#rounds = rounds;
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
  }

  defect(): void {}

  line(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const scanner = this.#scanner;
    scanner.use(bytes, view);
    scanner.scan(start, end);
    if (scanner.idTable === 0) return;
    const at = scanner.idStart;
    if (view.getUint32(at + 8, true) % this.#rounds !== this.#round) return;
    const id = Buffer.from(bytes.buffer, bytes.byteOffset + at, scanner.idEnd - at).toString("latin1");
    if (this.#ids.has(id)) this.repeated ??= this.#lines.count;
    this.#ids.add(id);
  }
}

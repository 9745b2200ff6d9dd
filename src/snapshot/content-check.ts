import { crc32 } from "node:zlib";
import type { ArchiveEntry } from "./archive.ts";
import { Defect } from "./defects.ts";

/** Size and CRC-32 of what was unpacked, against what the directory says; yauzl leaves the CRC to its caller. */
export class ContentCheck {
  readonly #entry: Pick<ArchiveEntry, "name" | "size" | "crc">;
  readonly #sink: (chunk: Buffer) => void;
  #bytes = 0;
  #crc = 0;

  constructor(entry: Pick<ArchiveEntry, "name" | "size" | "crc">, sink: (chunk: Buffer) => void) {
    this.#entry = entry;
    this.#sink = sink;
  }

  take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const { name, size } = this.#entry;
    if (this.#bytes > size) throw new Defect("entry-size", name, `more than the ${size.toLocaleString("en")} bytes.`);
    this.#crc = crc32(chunk, this.#crc);
    this.#sink(chunk);
  }

  end(): void {
    const { name, size, crc } = this.#entry;
    if (this.#bytes !== size) throw new Defect("entry-size", name, `${this.#bytes} bytes instead of ${size}.`);
    if (this.#crc !== crc) throw new Defect("entry-crc", name);
  }
}

/** The documents of one table. A copy costs what was changed lately, not what is stored. */
import type { Document } from "./types.ts";

/** A copy merges its changes into a new base when they have become more than this, and an eighth of the base. */
const MERGE_FROM = 512;

export class Docs {
  #base: ReadonlyMap<string, Document>;
  /** What differs from the base; null where deleted. */
  #changes: Map<string, Document | null>;
  #size: number;

  constructor(
    base: ReadonlyMap<string, Document> = new Map(),
    changes?: Map<string, Document | null>,
    size = base.size,
  ) {
    this.#base = base;
    this.#changes = changes ?? new Map();
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  get(id: string): Document | undefined {
    const changed = this.#changes.get(id);
    return changed === undefined ? this.#base.get(id) : (changed ?? undefined);
  }

  set(id: string, document: Document): void {
    if (this.get(id) === undefined) this.#size += 1;
    this.#changes.set(id, document);
  }

  delete(id: string): void {
    if (this.get(id) === undefined) return;
    this.#size -= 1;
    this.#changes.set(id, null);
  }

  /** In no order. */
  values(): Document[] {
    const documents: Document[] = [];
    for (const [id, document] of this.#base) if (!this.#changes.has(id)) documents.push(document);
    for (const document of this.#changes.values()) if (document !== null) documents.push(document);
    return documents;
  }

  /** Changes of either are not seen by the other. */
  copy(): Docs {
    if (this.#changes.size <= Math.max(MERGE_FROM, this.#base.size / 8)) {
      return new Docs(this.#base, new Map(this.#changes), this.#size);
    }
    return new Docs(new Map(this.values().map((document) => [document._id, document])));
  }
}

/** Vector search of actions, good enough for small tables. */
import type { ReadTransaction } from "../types.ts";

export interface VectorQuery {
  readonly indexName: string;
  readonly limit?: number;
  readonly vector: readonly number[];
}

/** Cosine similarity over all documents; filters are not looked at. */
export function vectorSearch(tx: ReadTransaction, component: string, query: VectorQuery): string {
  const [table = ""] = query.indexName.split(".");
  const norm = (vector: readonly number[]) => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0)) || 1;
  const scored = tx.scan(component, table).flatMap((document) => {
    const vector = Object.values(document).find(
      (value) => Array.isArray(value) && value.length === query.vector.length,
    ) as number[] | undefined;
    if (vector === undefined) return [];
    const dot = vector.reduce((sum, x, i) => sum + x * (query.vector[i] ?? 0), 0);
    return [{ _id: document._id, _score: dot / (norm(vector) * norm(query.vector)) }];
  });
  return JSON.stringify({ results: scored.sort((a, b) => b._score - a._score).slice(0, query.limit ?? 10) });
}

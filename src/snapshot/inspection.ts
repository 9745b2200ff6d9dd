/** What one table of a snapshot holds. */
export interface TableFacts {
  /** Path of the component (`""` is the root, `a/b` a nested one). */
  readonly component: string;
  readonly name: string;
  readonly documents: number;
  /** Uncompressed bytes of `documents.jsonl`. */
  readonly bytes: number;
  /** Hex; equal for equal sets of lines in any order, values taken as text, so that `1.0` and `1` differ. */
  readonly digest: string;
  /**
   * Integers, bytes, NaN or infinities are in it: values that only survive an import together with
   * `generated_schema.jsonl`.
   */
  readonly exactValues: boolean;
}

/** The file storage of one component. */
export interface StorageFacts {
  readonly component: string;
  readonly files: number;
  readonly bytes: number;
  /** Hex; order-independent over id, internal id, content type and SHA-256 of each file. */
  readonly digest: string;
}

export type FindingLevel = "error" | "warning" | "notice";

/** Something that a restore of this snapshot would lose, change or refuse (contract 7.3). */
export interface SnapshotFinding {
  /** Stable kebab-case kind, for tests and manifests: `table-file-missing`, `storage-suffix-table`. */
  readonly kind: string;
  /** `error`: a restore would silently lose or change data, or fails. */
  readonly level: FindingLevel;
  /** Where: the entry's name, with the line where there is one. Never a document's content. */
  readonly where: string;
  /** One or two sentences, in the user's terms. */
  readonly message: string;
}

/** Everything that one pass over a snapshot tells. */
export interface Inspection {
  readonly tables: readonly TableFacts[];
  /** Undefined when the snapshot was made without file storage. */
  readonly storage: readonly StorageFacts[] | undefined;
  readonly documents: number;
  readonly files: number;
  /** Bytes of the ZIP. */
  readonly bytes: number;
  /** Uncompressed bytes of all entries. */
  readonly uncompressedBytes: number;
  /** Hex SHA-256 of the ZIP file as a whole. */
  readonly sha256: string;
  /** `uniform` since 2026-03-11, `shapes` before (contract 7.2); `none` without any `generated_schema.jsonl`. */
  readonly encoding: "uniform" | "shapes" | "mixed" | "none";
  readonly findings: readonly SnapshotFinding[];
}

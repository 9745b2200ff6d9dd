/** One stored object. */
export interface StoredObject {
  /** Relative to the destination, with `/` between its parts, never at its start: `2026-11-22T03-00-04Z-3f9c/manifest.json`. */
  readonly key: string;
  readonly bytes: number;
  /** When the store got it, by the store's clock. */
  readonly modified: Date;
  /** Until when the store refuses to remove it (S3 object lock); told by `put` and `stat`, not by `list`. */
  readonly lockedUntil?: Date;
}

export interface PutOptions {
  /** Object lock (governance mode) for that many days from now; `store-unsupported` where the store knows none. */
  readonly lockDays?: number;
  /** Ends the upload and removes what it left. */
  readonly signal?: AbortSignal;
}

/**
 * Where backups live. Three implementations (S3, directory, GitHub artifact) pass one conformance suite.
 * An object is there as a whole or not at all, whatever kills the writer at whatever byte.
 */
export interface Store {
  /** As shown to people: `s3://bucket/prefix`, `dir:/backups`, `artifact:production`. Never holds a credential. */
  readonly location: string;
  /**
   * Stores one object, streamed: memory does not grow with it. Never overwrites. A piece of `body` is done with when the
   * next is asked for: its memory may be used again then.
   * What `body` itself throws comes out as it is, and so does the signal's reason.
   * @throws ActionError `store-exists` when the key is taken, `store-refused`, `store-unreachable`, `store-full`,
   * `store-unsupported`, `store-missing` (a folder's parent), `store-damaged` (the store has something else afterwards)
   */
  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<StoredObject>;
  /**
   * The content, its length and the store's own checksum checked, where it has one, at the end: what came before is
   * not yet known to be good.
   * @throws ActionError `store-missing` when there is no such object, `store-refused`, `store-unreachable`,
   * `store-damaged`
   */
  get(key: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<Uint8Array>;
  /** All objects below a prefix, sorted by key; complete or an error, never a part. */
  list(prefix?: string): Promise<readonly StoredObject[]>;
  /** One object, with its lock; undefined when it is not there. */
  stat(key: string): Promise<StoredObject | undefined>;
  /**
   * Removes objects one after another in the order given; one that is not there is no error. When any of them is locked,
   * none is removed.
   * @throws ActionError `store-locked`, `store-refused`
   */
  remove(keys: readonly string[]): Promise<void>;
  /** Removes what killed writers left half done (multipart uploads, temporary files) that is older than `olderThanMs`; returns how many. */
  removeUnfinished(olderThanMs: number): Promise<number>;
}

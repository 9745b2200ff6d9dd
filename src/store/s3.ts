import type { HeadObjectCommandOutput, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import type { Deps } from "../system/deps.ts";
import { loadClientS3 } from "../system/libraries.ts";
import { tempOf } from "../system/temp.ts";
import { locked, missing, unsupported } from "./faults.ts";
import { byKey, checkKey, isBackupKey, isKey } from "./keys.ts";
import { PART_SIZES, type PartSizes } from "./parts.ts";
import { createClient, type S3Settings, type Sdk } from "./s3-client.ts";
import { download } from "./s3-download.ts";
import { explain, faultOf } from "./s3-errors.ts";
import { PROBE, probe } from "./s3-probe.ts";
import { Upload } from "./s3-upload.ts";
import { SourceFailure } from "./source.ts";
import type { PutOptions, Store, StoredObject } from "./store.ts";

interface Connection {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Sizes that tests make small. */
export interface S3Tuning {
  readonly sizes?: PartSizes;
  readonly parallel?: number;
  readonly pageSize?: number;
}

/**
 * Backups in a bucket of S3, or of a store that speaks it. Objects are written conditionally (If-None-Match), checked by
 * CRC32 on both ways, and appear in one piece: a multipart upload that does not end leaves no object.
 */
export class S3Store implements Store {
  readonly location: string;
  readonly #settings: S3Settings;
  readonly #deps: Pick<Deps, "log" | "clock" | "env">;
  readonly #tuning: S3Tuning;
  #connected: Promise<Connection> | undefined;
  #probed: Promise<void> | undefined;

  /** Contacts nothing before the first call. */
  constructor(settings: S3Settings, deps: Pick<Deps, "log" | "clock" | "env">, tuning: S3Tuning = {}) {
    this.#settings = settings;
    this.#deps = deps;
    this.#tuning = tuning;
    this.location = `s3://${settings.bucket}${settings.prefix === "" ? "" : `/${settings.prefix}`}`;
  }

  async put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<StoredObject> {
    checkKey(key);
    const signal = options.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const now = this.#deps.clock.now();
    const lockUntil = options.lockDays === undefined ? undefined : new Date(now + options.lockDays * DAY_MS);
    try {
      const { sdk, client } = await this.#connect();
      await this.#probe();
      const { bucket, region, endpoint } = this.#settings;
      const upload = new Upload(
        {
          sdk,
          client,
          bucket,
          region,
          endpoint,
          location: this.location,
          sizes: this.#tuning.sizes ?? PART_SIZES,
          parallel: this.#tuning.parallel ?? 4,
          temporary: tempOf(this.#deps),
        },
        { objectKey: this.#objectKey(key), key, body, lockUntil, signal },
      );
      const { bytes, head } = await upload.run();
      return {
        key,
        bytes,
        modified: head?.LastModified ?? new Date(now),
        ...(lockUntil === undefined ? {} : { lockedUntil: head?.ObjectLockRetainUntilDate ?? lockUntil }),
      };
    } catch (failure) {
      signal.throwIfAborted();
      throw failure instanceof SourceFailure ? failure.cause : this.#explain(failure, `write ${key}`);
    }
  }

  async *get(key: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array> {
    checkKey(key);
    const { sdk, client } = await this.#connect();
    yield* download({
      sdk,
      client,
      bucket: this.#settings.bucket,
      objectKey: this.#objectKey(key),
      key,
      location: this.location,
      signal: options.signal,
      deps: this.#deps,
      explain: (failure) => this.#explainKey(failure, key),
    });
  }

  async list(prefix = ""): Promise<readonly StoredObject[]> {
    const { sdk, client } = await this.#connect();
    const found: StoredObject[] = [];
    let token: string | undefined;
    do {
      const page = await this.#send("list objects", () =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket: this.#settings.bucket,
            Prefix: this.#objectKey(prefix),
            MaxKeys: this.#tuning.pageSize ?? 1000,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      );
      for (const object of page.Contents ?? []) {
        const key = (object.Key ?? "").slice(this.#objectKey("").length);
        if (!isKey(key)) continue;
        found.push({ key, bytes: object.Size ?? 0, modified: object.LastModified ?? new Date(0) });
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (page.IsTruncated === true && token === undefined) {
        throw unsupported(
          this.location,
          "list all of its objects: it says that there are more, and not how to get them",
          "Report this to the maker of the store.",
        );
      }
    } while (token !== undefined);
    return found.sort(byKey);
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    const head = await this.#send(`read ${checkKey(key)}`, () => this.#head(key));
    if (head === undefined) return undefined;
    const lockedUntil = lockOf(head);
    return {
      key,
      bytes: head.ContentLength ?? 0,
      modified: head.LastModified ?? new Date(0),
      ...(lockedUntil === undefined ? {} : { lockedUntil }),
    };
  }

  async remove(keys: readonly string[]): Promise<void> {
    const { sdk, client } = await this.#connect();
    const present: string[] = [];
    const kept: { readonly key: string; readonly until: string }[] = [];
    for (const key of keys.map(checkKey)) {
      // A bucket with versions answers a delete of a locked object with success, and hides it.
      const head = await this.#send(`read ${key}`, () => this.#head(key));
      if (head === undefined) continue;
      const until = lockOf(head);
      if (until !== undefined && until.getTime() > this.#deps.clock.now()) {
        kept.push({
          key,
          until: until === FOREVER ? "until it is lifted (legal hold)" : `until ${until.toISOString()}`,
        });
      } else present.push(key);
    }
    const [blocked] = kept;
    if (blocked !== undefined) {
      const names = kept.map(({ key }) => key);
      throw locked(this.location, names, blocked.until);
    }
    for (const key of present) {
      await this.#send(`remove ${key}`, () =>
        client.send(new sdk.DeleteObjectCommand({ Bucket: this.#settings.bucket, Key: this.#objectKey(key) })),
      );
    }
  }

  async removeUnfinished(olderThanMs: number): Promise<number> {
    const { sdk, client } = await this.#connect();
    const { bucket } = this.#settings;
    const before = this.#deps.clock.now() - olderThanMs;
    const old: { readonly Key: string; readonly UploadId: string }[] = [];
    let after: string | undefined;
    do {
      const command: ListMultipartUploadsCommand = new sdk.ListMultipartUploadsCommand({
        Bucket: bucket,
        Prefix: this.#objectKey(""),
        MaxUploads: this.#tuning.pageSize ?? 1000,
        ...(after === undefined ? {} : { KeyMarker: after }),
      });
      const page = await this.#send("list multipart uploads", () => client.send(command));
      for (const { Key = "", UploadId = "", Initiated } of page.Uploads ?? []) {
        const ours = isBackupKey(Key.slice(this.#objectKey("").length));
        if (ours && Initiated !== undefined && Initiated.getTime() < before) old.push({ Key, UploadId });
      }
      // Without the marker of the upload, which not every store takes back as it gave it: a second upload of the same
      // key on the edge of a page is left to the next run.
      after = page.IsTruncated === true ? page.NextKeyMarker : undefined;
    } while (after !== undefined);
    for (const upload of old) {
      await this.#send("abort multipart uploads", async () => {
        await client
          .send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket, ...upload }))
          .catch((failure: unknown) => {
            if (faultOf(failure).status !== 404) throw failure; // Another run was faster.
          });
      });
    }
    return old.length;
  }

  #connect(): Promise<Connection> {
    this.#connected ??= loadClientS3().then((sdk) => ({
      sdk,
      client: createClient(sdk, this.#settings, this.#deps.log),
    }));
    return this.#connected;
  }

  #objectKey(key: string): string {
    return this.#settings.prefix === "" ? key : `${this.#settings.prefix}/${key}`;
  }

  /** Once, before the first object. */
  #probe(): Promise<void> {
    this.#probed ??= (async () => {
      const { sdk, client } = await this.#connect();
      const target = { Bucket: this.#settings.bucket, Key: this.#objectKey(PROBE) };
      await this.#send("write objects", () => probe(sdk, client, target, this.location));
    })().catch((failure: unknown) => {
      this.#probed = undefined;
      throw failure;
    });
    return this.#probed;
  }

  async #head(key: string): Promise<HeadObjectCommandOutput | undefined> {
    const { sdk, client } = await this.#connect();
    try {
      return await client.send(new sdk.HeadObjectCommand({ Bucket: this.#settings.bucket, Key: this.#objectKey(key) }));
    } catch (failure) {
      if (faultOf(failure).status === undefined) throw failure;
      // Answers to HEAD have no body, so a missing bucket looks like a missing object, and no reason is told. A request
      // that is refused for the same reason tells.
      const { bucket } = this.#settings;
      await client.send(new sdk.ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1, Prefix: this.#objectKey(key) }));
      if (faultOf(failure).status === 404) return undefined;
      throw failure;
    }
  }

  async #send<T>(doing: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (failure) {
      throw this.#explain(failure, doing);
    }
  }

  #explain(failure: unknown, doing: string): unknown {
    return explain(failure, { ...this.#settings, location: this.location }, doing);
  }

  #explainKey(failure: unknown, key: string): unknown {
    if (faultOf(failure).name === "NoSuchKey") {
      return missing(this.location, key, "Look at what the bucket holds; a backup has a folder of its own.", {
        cause: failure,
      });
    }
    return this.#explain(failure, `read ${key}`);
  }
}

/** A legal hold has no end that the store knows. */
const FOREVER = new Date(8.64e15);

function lockOf(head: HeadObjectCommandOutput): Date | undefined {
  return head.ObjectLockLegalHoldStatus === "ON" ? FOREVER : head.ObjectLockRetainUntilDate;
}

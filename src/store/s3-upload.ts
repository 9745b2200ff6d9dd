import { randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import type { CompletedPart, HeadObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { damaged, exists, unsupported } from "./faults.ts";
import { BufferPool, MOST_PARTS, PartReader, type PartSizes, sizeOfPart } from "./parts.ts";
import { explain, faultOf } from "./s3-errors.ts";
import { SourceFailure } from "./source.ts";
import { StagedPart } from "./staged-part.ts";

type Sdk = typeof import("@aws-sdk/client-s3");

export interface UploadContext {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly bucket: string;
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly location: string;
  readonly sizes: PartSizes;
  /** Parts on their way at a time. */
  readonly parallel: number;
  /** Where parts too large for memory wait. */
  readonly temporary: string;
}

export interface UploadRequest {
  /** With the prefix. */
  readonly objectKey: string;
  readonly key: string;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly lockUntil: Date | undefined;
  readonly signal: AbortSignal;
}

/** Big-endian base64, as S3 writes CRC32. */
export function crcText(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString("base64");
}

/** Marks an object as made by one upload, so that a lost answer can be told from another writer. */
const UPLOAD_ID = "upload-id";

/** One object on its way: in one request, or in parts. */
export class Upload {
  readonly #context: UploadContext;
  readonly #request: UploadRequest;
  readonly #id = randomUUID();
  #bytes = 0;
  #crc = 0;

  constructor(context: UploadContext, request: UploadRequest) {
    this.#context = context;
    this.#request = request;
  }

  /** What the store says of the object afterwards; undefined where these credentials may write only. */
  async run(): Promise<{ readonly bytes: number; readonly head: HeadObjectCommandOutput | undefined }> {
    const { sizes } = this.#context;
    const reader = new PartReader(this.#request.body, this.#request.signal);
    const pool = new BufferPool(sizes.first);
    try {
      const buffer = pool.take();
      const filled = await reader.fill(buffer);
      if (filled < buffer.length) await this.#single(buffer.subarray(0, filled));
      else await this.#multipart(buffer, reader, pool);
    } finally {
      await reader.end();
    }
    return { bytes: this.#bytes, head: await this.#verify() };
  }

  #count(part: Uint8Array): number {
    this.#bytes += part.length;
    this.#crc = crc32(part, this.#crc);
    return crc32(part);
  }

  async #single(body: Uint8Array): Promise<void> {
    const { sdk, client } = this.#context;
    const crc = this.#count(body);
    const command = new sdk.PutObjectCommand({
      ...this.#target(),
      ...this.#attributes(),
      Body: body,
      ContentLength: body.length,
      ChecksumCRC32: crcText(crc),
      IfNoneMatch: "*",
    });
    await this.#final(() => client.send(command, { abortSignal: this.#request.signal }));
  }

  async #multipart(first: Buffer, reader: PartReader, pool: BufferPool): Promise<void> {
    const { sdk, client, location } = this.#context;
    // An upload of hours that can only fail in the end is not begun.
    if ((await this.#head().catch(() => undefined)) !== undefined) throw exists(location, this.#request.key);
    const started = await this.#send("write", () =>
      client.send(
        new sdk.CreateMultipartUploadCommand({
          ...this.#target(),
          ...this.#attributes(),
          ChecksumAlgorithm: "CRC32",
          ChecksumType: "FULL_OBJECT",
        }),
        { abortSignal: this.#request.signal },
      ),
    );
    const uploadId = started.UploadId ?? "";
    try {
      const parts = await this.#parts(uploadId, first, reader, pool);
      // Stores that do not know checksums of whole objects have checked those of the parts.
      const whole = started.ChecksumType === "FULL_OBJECT" ? { ChecksumCRC32: crcText(this.#crc) } : {};
      const command = new sdk.CompleteMultipartUploadCommand({
        ...this.#target(),
        UploadId: uploadId,
        MultipartUpload: { Parts: parts },
        IfNoneMatch: "*",
        ...(started.ChecksumType === "FULL_OBJECT" ? { ...whole, ChecksumType: "FULL_OBJECT" as const } : {}),
      });
      await this.#final(() => client.send(command, { abortSignal: this.#request.signal }));
    } catch (failure) {
      await this.#abort(uploadId);
      throw failure;
    }
  }

  /** Sends all parts, a few at a time. Resolves when all are there; after a failure only once none is on its way. */
  async #parts(uploadId: string, first: Buffer, reader: PartReader, pool: BufferPool): Promise<CompletedPart[]> {
    const { parallel, sizes, location } = this.#context;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#request.signal]);
    const flying = new Set<Promise<void>>();
    const done: CompletedPart[] = [];
    const failures: unknown[] = [];
    const launch = (number: number, body: Uint8Array | StagedPart, crc: number, after: () => unknown): void => {
      const sent = this.#part(uploadId, number, body, crc, signal)
        .then((part) => {
          done.push(part);
        })
        .catch((failure: unknown) => {
          failures.push(failure);
          stop.abort(failure);
        })
        .then(after)
        .then(() => {
          flying.delete(sent);
        });
      flying.add(sent);
    };
    try {
      launch(1, first, this.#count(first), () => pool.give(first));
      for (let number = 2; failures.length === 0; number += 1) {
        const size = sizeOfPart(number, sizes);
        // Large parts wait on the disk, one at a time.
        const most = size > sizes.first ? 1 : parallel;
        while (flying.size >= most) await Promise.race(flying);
        if (failures.length > 0) break;
        if (size > sizes.first) {
          const staged = await StagedPart.read(reader, size, this.#context.temporary, (chunk) => this.#count(chunk));
          if (staged.bytes === 0) {
            await staged.remove();
            break;
          }
          checkCount(number, location);
          launch(number, staged, staged.crc, () => staged.remove());
          if (staged.bytes < size) break;
          continue;
        }
        const buffer = pool.take();
        const filled = await reader.fill(buffer);
        if (filled === 0) break;
        const part = buffer.subarray(0, filled);
        launch(number, part, this.#count(part), () => pool.give(buffer));
        if (filled < buffer.length) break;
      }
    } catch (failure) {
      failures.unshift(failure);
      stop.abort(failure);
    }
    await Promise.all(flying);
    if (failures.length > 0) throw failures[0];
    return done.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  }

  async #part(
    uploadId: string,
    number: number,
    body: Uint8Array | StagedPart,
    crc: number,
    signal: AbortSignal,
  ): Promise<CompletedPart> {
    const { sdk, client } = this.#context;
    const attempts = 3;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await client.send(
          new sdk.UploadPartCommand({
            ...this.#target(),
            UploadId: uploadId,
            PartNumber: number,
            Body: body instanceof Uint8Array ? body : body.open(),
            ContentLength: body instanceof Uint8Array ? body.length : body.bytes,
            ChecksumCRC32: crcText(crc),
          }),
          { abortSignal: signal },
        );
        return {
          PartNumber: number,
          ...(answer.ETag === undefined ? {} : { ETag: answer.ETag }),
          ChecksumCRC32: crcText(crc),
        };
      } catch (failure) {
        if (signal.aborted || attempt === attempts || !this.#again(failure, body)) {
          throw this.#explain(failure, "write");
        }
      }
    }
  }

  /** The SDK tries again by itself, but not what was damaged on its way, and no streams. */
  #again(failure: unknown, body: Uint8Array | StagedPart): boolean {
    const { name, status } = faultOf(failure);
    if (/^(BadDigest|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch|IncompleteBody)$/.test(name)) return true;
    return body instanceof StagedPart && (status === undefined || status >= 500);
  }

  /**
   * The request that makes the object. When its answer is lost or says that the object is there already, the object
   * itself tells whether it is this upload's.
   */
  async #final(send: () => Promise<unknown>): Promise<void> {
    const { location } = this.#context;
    try {
      await send();
    } catch (failure) {
      this.#request.signal.throwIfAborted();
      const found = await this.#head().catch(() => undefined);
      if (found?.Metadata?.[UPLOAD_ID] === this.#id) return;
      const { name, status } = faultOf(failure);
      // 409: another writer was at it in the same moment (S3 User Guide, "conditional writes").
      if (status === 412 || status === 304 || (status === 409 && found !== undefined)) {
        throw exists(location, this.#request.key, { cause: failure });
      }
      if (name === "InvalidRequest" && this.#request.lockUntil !== undefined) {
        throw unsupported(
          location,
          "lock objects: the bucket was made without object lock",
          "Enable object lock (and versioning) on the bucket, or leave object-lock-days out.",
          { cause: failure },
        );
      }
      throw this.#explain(failure, "write");
    }
  }

  async #verify(): Promise<HeadObjectCommandOutput | undefined> {
    const { location } = this.#context;
    let head: HeadObjectCommandOutput | undefined;
    try {
      head = await this.#head();
    } catch (failure) {
      if (faultOf(failure).status === 403) return undefined;
      throw this.#explain(failure, "read");
    }
    if (head === undefined) throw damaged(location, this.#request.key, "the store took it and does not have it");
    if (head.ContentLength !== this.#bytes) {
      throw damaged(location, this.#request.key, `${head.ContentLength} bytes of ${this.#bytes} are there`);
    }
    if (head.ChecksumType === "FULL_OBJECT" && (head.ChecksumCRC32 ?? crcText(this.#crc)) !== crcText(this.#crc)) {
      throw damaged(location, this.#request.key, "its checksum (CRC32) differs");
    }
    return head;
  }

  async #head(): Promise<HeadObjectCommandOutput | undefined> {
    const { sdk, client } = this.#context;
    try {
      return await client.send(new sdk.HeadObjectCommand({ ...this.#target(), ChecksumMode: "ENABLED" }));
    } catch (failure) {
      if (faultOf(failure).status === 404) return undefined;
      throw failure;
    }
  }

  /** Frees the parts. When that fails too, the next run's `removeUnfinished` does it. */
  async #abort(uploadId: string): Promise<void> {
    const { sdk, client } = this.#context;
    await client
      .send(new sdk.AbortMultipartUploadCommand({ ...this.#target(), UploadId: uploadId }))
      .catch(() => undefined);
  }

  #target(): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#context.bucket, Key: this.#request.objectKey };
  }

  #attributes() {
    const { lockUntil } = this.#request;
    return {
      Metadata: { [UPLOAD_ID]: this.#id },
      ContentType: "application/octet-stream",
      ...(lockUntil === undefined
        ? {}
        : { ObjectLockMode: "GOVERNANCE" as const, ObjectLockRetainUntilDate: lockUntil }),
    };
  }

  async #send<T>(doing: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (failure) {
      this.#request.signal.throwIfAborted();
      throw this.#explain(failure, doing);
    }
  }

  #explain(failure: unknown, doing: string): unknown {
    if (failure instanceof SourceFailure) return failure;
    return explain(failure, this.#context, `${doing} ${this.#request.objectKey}`);
  }
}

function checkCount(number: number, location: string): void {
  if (number <= MOST_PARTS) return;
  throw unsupported(
    location,
    "take an object of more than 5 TiB",
    "Leave file storage out (include-file-storage: false), or copy the backend's storage by other means.",
  );
}

import { randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import type { CompletedPart, HeadObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { messageOf } from "../runner/errors.ts";
import { crcText } from "./checksum.ts";
import { damaged, exists, unsupported } from "./faults.ts";
import { BufferPool, PartReader, type PartSizes } from "./parts.ts";
import type { Sdk } from "./s3-client.ts";
import { explain, faultOf } from "./s3-errors.ts";
import { repeating, sendParts } from "./s3-parts.ts";
import { SourceFailure } from "./source.ts";
import type { StagedPart } from "./staged-part.ts";

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

/** Answers to a condition that does not hold. */
const TAKEN: readonly number[] = [412, 304, 409];

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
    const { signal } = this.#request;
    await this.#final(() => repeating(() => client.send(command, { abortSignal: signal }), body, signal));
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
      const parts = await sendParts(first, reader, pool, {
        ...this.#context,
        signal: this.#request.signal,
        count: (bytes) => this.#count(bytes),
        send: (number, body, crc, signal) => this.#part(uploadId, number, body, crc, signal),
      });
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

  async #part(
    uploadId: string,
    number: number,
    body: Uint8Array | StagedPart,
    crc: number,
    signal: AbortSignal,
  ): Promise<CompletedPart> {
    const { sdk, client } = this.#context;
    const send = () =>
      client.send(
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
    try {
      const { ETag } = await repeating(send, body, signal);
      return { PartNumber: number, ...(ETag === undefined ? {} : { ETag }), ChecksumCRC32: crcText(crc) };
    } catch (failure) {
      throw this.#explain(failure, "write");
    }
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
      const ours = found?.Metadata?.[UPLOAD_ID] === this.#id;
      const { status } = faultOf(failure);
      // Some stores write the object before they find that they cannot lock it.
      const unlocked = ours && status === 400 && this.#request.lockUntil !== undefined;
      if (ours && !unlocked) return;
      if (unlocked) await this.#remove();
      // 409: another writer was at it in the same moment (S3 User Guide, "conditional writes").
      else if (status !== undefined && TAKEN.includes(status) && (status !== 409 || found !== undefined)) {
        throw exists(location, this.#request.key, { cause: failure });
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

  async #remove(): Promise<void> {
    const { sdk, client } = this.#context;
    await client.send(new sdk.DeleteObjectCommand(this.#target())).catch(() => undefined);
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
    if (this.#request.lockUntil !== undefined && /object ?lock/i.test(messageOf(failure))) {
      return unsupported(
        this.#context.location,
        "lock objects: the bucket was made without object lock",
        "Enable object lock (and versioning) on the bucket, or leave object-lock-days out.",
        { cause: failure },
      );
    }
    return explain(failure, this.#context, `${doing} ${this.#request.objectKey}`);
  }
}

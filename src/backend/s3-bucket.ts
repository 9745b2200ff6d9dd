import { createHash, randomUUID } from "node:crypto";
import type { CompletedPart, CreateMultipartUploadCommandInput, S3Client } from "@aws-sdk/client-s3";
import { messageOf } from "../runner/errors.ts";
import type { loadClientS3 } from "../system/libraries.ts";
import {
  type BucketFault,
  faultOf,
  faultOfBoth,
  faultOfChecksums,
  faultOfContent,
  faultOfEncryption,
  faultOfPartChecksums,
  faultOfParts,
  type Operation,
  placeOf,
  statusOf,
} from "./s3-faults.ts";
import type { Bucket, S3Settings } from "./s3-settings.ts";

type Library = Awaited<ReturnType<typeof loadClientS3>>;

const MIB = 1024 * 1024;
export const LARGEST_PART = 6 * MIB;
/** For one bucket: 12 MiB there and back. */
const TIMEOUT_MS = 180_000;
const CLEANUP_MS = 10_000;

/** A bucket that does not do, or with a warning one that does for now. */
export interface BucketFinding {
  readonly bucket: Bucket;
  readonly level: "error" | "warning";
  readonly fault: BucketFault;
  readonly cause: unknown;
}

export interface CheckOptions {
  readonly instanceName: string;
  /** Where this job reaches the endpoint, should the backend's name for it mean nothing here. */
  readonly endpoint?: URL | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** A request that failed, with what is known of it by then. */
class RequestFailed extends Error {
  readonly operation: Operation;

  constructor(operation: Operation, cause: unknown) {
    super(`${operation} failed`, { cause });
    this.operation = operation;
  }
}

/** What the checks of all buckets share. */
export interface CheckTools {
  readonly library: Library;
  readonly client: S3Client;
  readonly settings: S3Settings;
  /** `LARGEST_PART` bytes; each part is the beginning of it. */
  readonly content: Buffer;
}

/** One bucket. */
export class BucketCheck {
  readonly #library: Library;
  readonly #client: S3Client;
  readonly #settings: S3Settings;
  readonly #content: Buffer;
  readonly #bucket: Bucket;
  readonly #target: { readonly Bucket: string; readonly Key: string };
  readonly #signal: AbortSignal;
  readonly #timeoutMs: number;
  /** An object of ours may be there. */
  #stored = false;

  constructor(tools: CheckTools, bucket: Bucket, options: CheckOptions) {
    this.#library = tools.library;
    this.#client = tools.client;
    this.#settings = tools.settings;
    this.#content = tools.content;
    this.#bucket = bucket;
    this.#target = { Bucket: bucket.name, Key: `${options.instanceName}-${randomUUID()}/check-${randomUUID()}` };
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const limit = AbortSignal.timeout(this.#timeoutMs);
    this.#signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
  }

  async run(): Promise<BucketFinding[]> {
    try {
      const fault = (await this.#upload()) ?? (await this.#read());
      if (fault !== undefined) {
        await this.#remove().catch(() => undefined);
        return [this.#finding("error", fault, undefined)];
      }
    } catch (failure) {
      await this.#remove().catch(() => undefined);
      return [this.#failed("error", failure)];
    }
    return await this.#remove().then(
      () => [],
      (failure: unknown) => [this.#failed("warning", failure)],
    );
  }

  #finding(level: "error" | "warning", fault: BucketFault, cause: unknown): BucketFinding {
    return { bucket: this.#bucket, level, fault, cause };
  }

  #failed(level: "error" | "warning", failure: unknown): BucketFinding {
    const [operation, cause] =
      failure instanceof RequestFailed ? [failure.operation, failure.cause] : ["DeleteObject" as const, failure];
    if (level === "error" && this.#signal.aborted) {
      const what = `${operation} did not end within ${this.#timeoutMs / 1000} s (${messageOf(cause)})`;
      const hint = "Check that the store answers, and how fast: 12 MiB go there and back.";
      return this.#finding(level, { code: "s3-unreachable", what: `${placeOf(this.#settings)}: ${what}`, hint }, cause);
    }
    const fault = faultOf(cause, operation, this.#settings);
    if (level === "error") return this.#finding(level, fault, cause);
    const what = `${fault.what}; the test object ${this.#target.Key} is left there, and expired exports will be too`;
    return this.#finding(level, { ...fault, what }, cause);
  }

  async #do<T>(operation: Operation, work: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    try {
      return await work({ abortSignal: this.#signal });
    } catch (error) {
      throw new RequestFailed(operation, error);
    }
  }

  async #create(more: Partial<CreateMultipartUploadCommandInput>): Promise<string> {
    const { CreateMultipartUploadCommand } = this.#library;
    const created = await this.#do("CreateMultipartUpload", (options) =>
      this.#client.send(new CreateMultipartUploadCommand({ ...this.#target, ...more }), options),
    );
    return created.UploadId ?? "";
  }

  async #abort(id: string): Promise<void> {
    const { AbortMultipartUploadCommand } = this.#library;
    const command = new AbortMultipartUploadCommand({ ...this.#target, UploadId: id });
    await this.#client.send(command, { abortSignal: AbortSignal.timeout(CLEANUP_MS) }).catch(() => undefined);
  }

  async #remove(): Promise<void> {
    if (!this.#stored) return;
    const { DeleteObjectCommand } = this.#library;
    await this.#client.send(new DeleteObjectCommand(this.#target), { abortSignal: AbortSignal.timeout(CLEANUP_MS) });
  }

  /** The upload as the backend makes it: what it asks for at the creation is what stores refuse. */
  async #upload(): Promise<BucketFault | undefined> {
    const encryption = this.#settings.encrypts ? ({ ServerSideEncryption: "AES256" } as const) : {};
    const checksums = this.#settings.checksums ? ({ ChecksumAlgorithm: "CRC32" } as const) : {};
    let id: string;
    try {
      id = await this.#create({ ...encryption, ...checksums });
    } catch (failure) {
      const fault = await this.#refusedWish(failure, encryption, checksums);
      if (fault === undefined) throw failure;
      return fault;
    }
    try {
      const fault = await this.#send(id);
      if (fault !== undefined) await this.#abort(id);
      return fault;
    } catch (failure) {
      await this.#abort(id);
      throw failure;
    }
  }

  /** Finds out by leaving them out which of the two wishes a store refuses; its texts differ too much. */
  async #refusedWish(
    failure: unknown,
    encryption: Partial<CreateMultipartUploadCommandInput>,
    checksums: Partial<CreateMultipartUploadCommandInput>,
  ): Promise<BucketFault | undefined> {
    const status = failure instanceof RequestFailed ? statusOf(failure.cause) : undefined;
    if (status !== 400 && status !== 501) return undefined;
    const tries: [BucketFault, Partial<CreateMultipartUploadCommandInput>, boolean][] = [
      [faultOfEncryption, checksums, this.#settings.encrypts],
      [faultOfChecksums, encryption, this.#settings.checksums],
      [faultOfBoth, {}, this.#settings.encrypts && this.#settings.checksums],
    ];
    for (const [fault, rest, applies] of tries) {
      if (!applies) continue;
      const id = await this.#create(rest).catch(() => undefined);
      if (id === undefined) continue;
      await this.#abort(id);
      return fault;
    }
    return undefined;
  }

  #sizes(): number[] {
    const { largestPart } = this.#settings;
    // The backend's parts grow unless they are limited; the second of a limited upload is as long as the first.
    return [5 * MIB, largestPart !== undefined && largestPart <= 5 * MIB ? 5 * MIB : 6 * MIB, MIB];
  }

  async #send(id: string): Promise<BucketFault | undefined> {
    const { UploadPartCommand, CompleteMultipartUploadCommand } = this.#library;
    const parts: CompletedPart[] = [];
    for (const [index, size] of this.#sizes().entries()) {
      const PartNumber = index + 1;
      const command = new UploadPartCommand({
        ...this.#target,
        UploadId: id,
        PartNumber,
        Body: this.#content.subarray(0, size),
        ...(this.#settings.checksums && this.#settings.requestChecksums === "WHEN_SUPPORTED"
          ? { ChecksumAlgorithm: "CRC32" as const }
          : {}),
      });
      try {
        const { ETag, ChecksumCRC32 } = await this.#do("UploadPart", (options) => this.#client.send(command, options));
        if (this.#settings.checksums && ChecksumCRC32 === undefined) return faultOfChecksums;
        parts.push({ PartNumber, ETag, ...(this.#settings.checksums ? { ChecksumCRC32 } : {}) });
      } catch (failure) {
        const status = failure instanceof RequestFailed ? statusOf(failure.cause) : undefined;
        if (status === 501) return faultOfPartChecksums;
        if (status === 400 && index === 1 && this.#unequal()) return faultOfParts;
        throw failure;
      }
    }
    const complete = new CompleteMultipartUploadCommand({
      ...this.#target,
      UploadId: id,
      MultipartUpload: { Parts: parts },
    });
    this.#stored = true;
    try {
      await this.#do("CompleteMultipartUpload", (options) => this.#client.send(complete, options));
      return undefined;
    } catch (failure) {
      const cause = failure instanceof RequestFailed ? failure.cause : undefined;
      const aboutParts = cause instanceof Error && /^(InvalidPart|EntityTooSmall|InvalidRequest)$/.test(cause.name);
      if (aboutParts && this.#unequal()) return faultOfParts;
      throw failure;
    }
  }

  #unequal(): boolean {
    const [first, second] = this.#sizes();
    return first !== second;
  }

  async #read(): Promise<BucketFault | undefined> {
    const { HeadObjectCommand, GetObjectCommand } = this.#library;
    const sizes = this.#sizes();
    const length = sizes.reduce((sum, size) => sum + size, 0);
    const head = await this.#do("HeadObject", (options) =>
      this.#client.send(new HeadObjectCommand(this.#target), options),
    );
    if (head.ContentLength !== length) return faultOfContent(`${head.ContentLength} bytes instead of ${length}`);
    const hash = createHash("sha256");
    await this.#do("GetObject", async (options) => {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#target), options);
      for await (const chunk of (Body ?? []) as AsyncIterable<Uint8Array>) hash.update(chunk);
    });
    const expected = createHash("sha256");
    for (const size of sizes) expected.update(this.#content.subarray(0, size));
    return hash.digest("hex") === expected.digest("hex") ? undefined : faultOfContent("the bytes differ");
  }
}

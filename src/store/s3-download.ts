import { crc32 } from "node:zlib";
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Deps } from "../system/deps.ts";
import { crcText } from "./checksum.ts";
import { damaged } from "./faults.ts";
import { askForChecksum } from "./s3-client.ts";
import { faultOf } from "./s3-errors.ts";

const ATTEMPTS = 5;

export interface Download {
  readonly sdk: typeof import("@aws-sdk/client-s3");
  readonly client: S3Client;
  readonly bucket: string;
  /** With the prefix. */
  readonly objectKey: string;
  readonly key: string;
  readonly location: string;
  readonly signal: AbortSignal | undefined;
  readonly deps: Pick<Deps, "log" | "clock">;
  /** The error for a failed request. */
  readonly explain: (failure: unknown) => unknown;
}

/**
 * The bytes of an object. A download that is cut goes on where it was, of the same object; length and checksum of the
 * whole are checked in the end.
 */
export async function* download(request: Download): AsyncGenerator<Uint8Array> {
  const { key, location, signal, deps } = request;
  let position = 0;
  let crc = 0;
  let first: GetObjectCommandOutput | undefined;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await ask(request, position, first?.ETag, first === undefined);
      first ??= answer;
      for await (const chunk of answer.Body as AsyncIterable<Uint8Array>) {
        position += chunk.length;
        crc = crc32(chunk, crc);
        yield chunk;
      }
      if (position < (first.ContentLength ?? 0)) throw new Error("the connection was cut");
      break;
    } catch (failure) {
      signal?.throwIfAborted();
      // Cut after the last byte.
      if (position === first?.ContentLength) break;
      const { status } = faultOf(failure);
      if (status === 412 || status === 416) throw damaged(location, key, "it changed while it was read");
      // Before the first byte the SDK has tried again already.
      if (first === undefined || attempt === ATTEMPTS || (status !== undefined && status < 500)) {
        throw request.explain(failure);
      }
      deps.log.info(`Reading ${key} goes on after byte ${position}, attempt ${attempt + 1}.`);
      await deps.clock.sleep(200 * 2 ** attempt, signal);
    }
  }
  if (first.ContentLength !== undefined && position !== first.ContentLength) {
    throw damaged(location, key, `${position} bytes came of ${first.ContentLength}`);
  }
  const stored = first.ChecksumType === "FULL_OBJECT" ? first.ChecksumCRC32 : undefined;
  if (stored !== undefined && stored !== crcText(crc)) throw damaged(location, key, "its checksum (CRC32) differs");
}

async function ask(
  { sdk, client, bucket, objectKey, signal }: Download,
  position: number,
  etag: string | undefined,
  whole: boolean,
): Promise<GetObjectCommandOutput> {
  const command = new sdk.GetObjectCommand({
    Bucket: bucket,
    Key: objectKey,
    // The rest must be of the same object as what came before it.
    ...(whole ? {} : { Range: `bytes=${position}-`, ...(etag === undefined ? {} : { IfMatch: etag }) }),
  });
  if (whole) askForChecksum(command);
  return await client.send(command, signal === undefined ? {} : { abortSignal: signal });
}

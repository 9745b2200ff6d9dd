import { Agent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { messageOf, systemCode } from "../runner/errors.ts";
import type { Log } from "../system/deps.ts";
import { faultOf } from "./s3-errors.ts";

type Sdk = typeof import("@aws-sdk/client-s3");

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Settings {
  readonly bucket: string;
  /** Without slashes at its ends; empty for the bucket's root. */
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly forcePathStyle: boolean;
  /** Undefined: the SDK's own chain (environment, shared files and SSO, process, web identity, container, instance). */
  readonly credentials?: S3Credentials;
  /** The longest silence of a connection. */
  readonly idleMs?: number;
  /** How often a request is tried that fails for a reason which can pass. */
  readonly attempts?: number;
}

/** The SDK, loaded when a bucket is first used: a directory needs none of its megabytes. */
export async function loadSdk(): Promise<Sdk> {
  return await import("@aws-sdk/client-s3");
}

/** A client whose waits all end, and whose every attempt that fails for a reason which can pass is a line of the log. */
export function createClient(sdk: Sdk, settings: S3Settings, log: Pick<Log, "debug" | "info">): S3Client {
  const idleMs = settings.idleMs ?? 60_000;
  const client = new sdk.S3Client({
    region: settings.region,
    forcePathStyle: settings.forcePathStyle,
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...(settings.credentials === undefined ? {} : { credentials: { ...settings.credentials } }),
    // Checked by us over the whole object, however often its download is taken up again, by zlib's CRC32: the SDK's own
    // is JavaScript.
    responseChecksumValidation: "WHEN_REQUIRED",
    // The SDK's own log holds whole requests, bodies too.
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    maxAttempts: settings.attempts ?? 5,
    requestHandler: {
      connectionTimeout: Math.min(idleMs, 15_000),
      socketTimeout: idleMs,
      httpAgent: new Agent({ keepAlive: true }),
      httpsAgent: new HttpsAgent({ keepAlive: true, proxyEnv: process.env }),
    },
  });
  client.middlewareStack.add(
    (next, context) => async (args) => {
      try {
        return await next(args);
      } catch (failure) {
        const text = `${context.commandName ?? "Request"}: an attempt failed: ${attemptText(failure)}`;
        // What is refused is told by its error; 404 and 412 are answers.
        const { status } = faultOf(failure);
        if (status === undefined || status >= 500 || status === 429) log.info(text);
        else log.debug(text);
        throw failure;
      }
    },
    // After the retries in the order of steps, so that each attempt passes here.
    { step: "deserialize", name: "logFailedAttempts", priority: "high" },
  );
  return client;
}

/** Asks for the stored checksum, without the SDK's own comparison. */
export function askForChecksum(command: GetObjectCommand): void {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers["x-amz-checksum-mode"] = "ENABLED";
      return next(args);
    },
    { step: "build", name: "askForChecksum" },
  );
}

function silent(): void {}

function attemptText(failure: unknown): string {
  const { status } = faultOf(failure);
  const name = failure instanceof Error ? failure.name : "Error";
  return [status, name, systemCode(failure), messageOf(failure)].filter((word) => word !== undefined).join(" ");
}

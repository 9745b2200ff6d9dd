import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { S3Client } from "@aws-sdk/client-s3";
import { freePorts } from "../../src/system/ports.ts";

/** The real server behind S3 tests: signatures, versions, object lock and conditional writes (.ci/run compiles it). */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** What the AWS SDK reads by itself, for processes that get their credentials as users give them. */
  readonly env: Readonly<Record<string, string>>;
  /** Where it keeps its objects: one folder a bucket. */
  readonly data: string;
  /** A client with the right credentials, for what a test sets up or looks at. */
  readonly client: S3Client;
}

const VERSION = /^VERSITYGW=(.+)$/m.exec(
  readFileSync(resolve(import.meta.dirname, "../../.ci/tools.env"), "utf8"),
)?.[1];

/** The program that `.ci/run` compiled. */
export function s3Program(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const path = join(cache, "convex-selfhost-action", `versitygw-${VERSION}`, "versitygw");
  if (!existsSync(path)) throw new Error(`${path} is missing; .ci/run compiles it`);
  return path;
}

async function answers(child: ChildProcess, endpoint: string, said: () => string): Promise<void> {
  for (let tries = 0; tries < 1500; tries += 1) {
    if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}: ${said()}`);
    // Without a signature every answer is a refusal, which is enough.
    if (
      await fetch(endpoint).then(
        () => true,
        () => false,
      )
    )
      return;
    await delay(20);
  }
  throw new Error(`versitygw does not answer: ${said()}`);
}

/**
 * Starts a server of its own on a free port of the loopback, with versioning available to every bucket.
 * @param options `data` keeps the objects there (a small disk, for one); by default a fresh folder
 */
export async function startS3(options: { readonly data?: string } = {}): Promise<S3Server> {
  const home = await mkdtemp(join(tmpdir(), "s3-"));
  const data = options.data ?? join(home, "data");
  const versions = join(home, "versions");
  await Promise.all([mkdir(data, { recursive: true }), mkdir(versions)]);
  const [port = 0] = await freePorts(1);
  const [accessKeyId, secretAccessKey] = ["AKIATESTOFBACKUPS001", "test-secret-of-the-store/0123456789abcdef"];
  const child = spawn(
    s3Program(),
    ["--port", `127.0.0.1:${port}`, "--quiet", "posix", "--versioning-dir", versions, data],
    {
      env: { PATH: process.env["PATH"], ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const stop = async (): Promise<void> => {
    client.destroy();
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(home, { recursive: true, force: true });
  };
  try {
    await answers(child, endpoint, () => said.join(""));
  } catch (failure) {
    await stop();
    throw failure;
  }
  const region = "us-east-1";
  return {
    endpoint,
    port,
    region,
    accessKeyId,
    secretAccessKey,
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region },
    data,
    client,
    [Symbol.asyncDispose]: stop,
  };
}

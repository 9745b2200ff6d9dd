import { createHash } from "node:crypto";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { loadArtifact } from "../system/libraries.ts";
import { tempOf } from "../system/temp.ts";
import { type ArtifactApi, type ArtifactFacts, keyOfName, nameOfKey } from "./artifact-api.ts";
import { explainUpload } from "./artifact-errors.ts";
import { damaged, exists, full, missing, refused, unreachable, unsupported } from "./faults.ts";
import { byKey, checkKey } from "./keys.ts";
import { chunksOf, SourceFailure } from "./source.ts";
import type { PutOptions, Store, StoredObject } from "./store.ts";

const READ_ATTEMPTS = 5;
const SEEN_ATTEMPTS = 8;
/** How long a cancelled upload is waited for, so that what it makes all the same can be removed. */
const SETTLE_MS = 10_000;

interface Staged {
  readonly folder: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Backups as artifacts of this repository's workflow runs: one object is one artifact, uploaded as it is (no ZIP around
 * it). Written through `@actions/artifact`, which takes files only, so an object waits in the runner's temporary folder;
 * listed, read and removed through GitHub's REST API, which sees the artifacts of all runs.
 */
export class ArtifactStore implements Store {
  readonly location: string;
  readonly #api: ArtifactApi;
  /** Of keys; as in a bucket, what lies below another one is not ours. */
  readonly #prefix: string;
  readonly #deps: Pick<Deps, "log" | "clock" | "env">;

  /** @param prefix of the names, which all deployments of a repository share; empty for none */
  constructor(api: ArtifactApi, prefix: string, deps: Pick<Deps, "log" | "clock" | "env">) {
    this.#api = api;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.location = prefix === "" ? "artifact" : `artifact:${prefix}`;
    this.#deps = deps;
  }

  #nameOf(key: string): string {
    return nameOfKey(this.#prefix + checkKey(key));
  }

  async put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<StoredObject> {
    const name = this.#nameOf(key);
    if (options.lockDays !== undefined) {
      throw unsupported(this.location, "lock objects", "Leave object-lock-days out, or use an S3 bucket that locks.");
    }
    options.signal?.throwIfAborted();
    this.#checkJob();
    if ((await this.#api.find(name)) !== undefined) throw exists(this.location, key);
    const staged = await this.#stage(name, body, options.signal);
    try {
      const id = await this.#upload(key, name, staged, options.signal);
      const facts = await this.#seen(id, key);
      if (facts.bytes !== staged.bytes) {
        throw damaged(this.location, key, `${facts.bytes} bytes of ${staged.bytes} are there`);
      }
      if (facts.digest !== undefined && facts.digest !== `sha256:${staged.sha256}`) {
        throw damaged(this.location, key, "its checksum (SHA-256) differs");
      }
      return { key, bytes: facts.bytes, modified: facts.created };
    } finally {
      await rm(staged.folder, { recursive: true, force: true });
    }
  }

  async *get(key: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array> {
    const facts = await this.#api.find(this.#nameOf(key));
    if (facts === undefined) {
      throw missing(this.location, key, "Look at the repository's artifacts: they expire, after 90 days by default.");
    }
    const hash = createHash("sha256");
    let position = 0;
    for (let attempt = 1; ; attempt += 1) {
      try {
        for await (const chunk of this.#api.download(facts.id, position, options.signal)) {
          position += chunk.length;
          hash.update(chunk);
          yield chunk;
        }
        if (position >= facts.bytes) break;
        throw unreachable(this.location, `the download of ${key} ended after ${position} of ${facts.bytes} bytes`);
      } catch (failure) {
        options.signal?.throwIfAborted();
        // Cut after the last byte.
        if (position === facts.bytes) break;
        const again = failure instanceof Error && "code" in failure && failure.code === "store-unreachable";
        if (!again || attempt === READ_ATTEMPTS) throw failure;
        this.#deps.log.info(
          `Reading ${key} goes on after byte ${position}, attempt ${attempt + 1}: ${failure.message}`,
        );
        await this.#deps.clock.sleep(200 * 2 ** attempt, options.signal);
      }
    }
    if (position !== facts.bytes) throw damaged(this.location, key, `${position} bytes came of ${facts.bytes}`);
    if (facts.digest !== undefined && facts.digest !== `sha256:${hash.digest("hex")}`) {
      throw damaged(this.location, key, "its checksum (SHA-256) differs");
    }
  }

  async list(prefix = ""): Promise<readonly StoredObject[]> {
    const found = new Map<string, StoredObject>();
    for (const facts of await this.#api.list()) {
      const whole = keyOfName(facts.name);
      const key = whole?.startsWith(this.#prefix) === true ? whole.slice(this.#prefix.length) : undefined;
      // Oldest first: of two of one name, which only two runs can make, the later one is the intruder.
      if (key === undefined || !key.startsWith(prefix) || found.has(key)) continue;
      found.set(key, { key, bytes: facts.bytes, modified: facts.created });
    }
    return [...found.values()].sort(byKey);
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    const facts = await this.#api.find(this.#nameOf(key));
    return facts === undefined ? undefined : { key, bytes: facts.bytes, modified: facts.created };
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const name of keys.map((key) => this.#nameOf(key))) {
      const facts = await this.#api.find(name);
      if (facts !== undefined) await this.#api.remove(facts.id);
    }
  }

  /** GitHub shows no artifact that was not finished, and removes it by itself. */
  async removeUnfinished(): Promise<number> {
    return 0;
  }

  #checkJob(): void {
    const absent = ["ACTIONS_RUNTIME_TOKEN", "ACTIONS_RESULTS_URL"].filter((name) => !this.#deps.env[name]);
    if (absent.length === 0) return;
    throw refused(
      `This job cannot write artifacts: ${absent.join(" and ")} ${absent.length === 1 ? "is" : "are"} not set.`,
      "The runner sets them for actions. A local runner needs its artifact server switched on; use dir:path there.",
    );
  }

  async #stage(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<Staged> {
    const base = tempOf(this.#deps);
    const folder = await mkdtemp(join(base, "convex-artifact-"));
    const path = join(folder, name);
    let file: FileHandle | undefined;
    try {
      file = await open(path, "wx", 0o600);
      const hash = createHash("sha256");
      let bytes = 0;
      for await (const chunk of chunksOf(body, signal)) {
        hash.update(chunk);
        let written = 0;
        while (written < chunk.length) written += (await file.write(chunk, written)).bytesWritten;
        bytes += chunk.length;
      }
      await file.close();
      return { folder, path, bytes, sha256: hash.digest("hex") };
    } catch (failure) {
      await file?.close().catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
      signal?.throwIfAborted();
      if (failure instanceof SourceFailure) throw failure.cause;
      if (["ENOSPC", "EDQUOT"].includes(systemCode(failure) ?? "")) {
        throw full(base, "an artifact waits there until it is uploaded", { cause: failure });
      }
      throw failure;
    }
  }

  /** @returns the artifact's id */
  async #upload(key: string, name: string, staged: Staged, signal: AbortSignal | undefined): Promise<number> {
    signal?.throwIfAborted();
    const { DefaultArtifactClient } = await loadArtifact();
    // The library is talkative.
    const upload = this.#deps.log.group(`Uploading ${key} as an artifact`, () =>
      new DefaultArtifactClient().uploadArtifact(name, [staged.path], staged.folder, { skipArchive: true }),
    );
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const { id } = await Promise.race([upload, aborted]);
      if (id === undefined) throw unreachable(this.location, `the upload of ${key} ended without an id`);
      return id;
    } catch (failure) {
      if (signal?.aborted !== true) throw explainUpload(failure, this.location, key);
      // The library cannot be told to stop; what it finishes all the same goes again.
      const removal = upload
        .then(({ id }) => (id === undefined ? undefined : this.#api.remove(id)))
        .catch(() => undefined);
      await Promise.race([removal, this.#deps.clock.sleep(SETTLE_MS)]);
      throw signal.reason;
    } finally {
      signal?.removeEventListener("abort", abort);
      aborted.catch(() => undefined);
    }
  }

  /** What GitHub shows of an artifact; it may take a moment until it does. */
  async #seen(id: number, key: string): Promise<ArtifactFacts> {
    for (let attempt = 1; ; attempt += 1) {
      const facts = await this.#api.byId(id);
      if (facts !== undefined) return facts;
      if (attempt === SEEN_ATTEMPTS) throw damaged(this.location, key, "GitHub took it and does not show it");
      await this.#deps.clock.sleep(250 * 2 ** Math.min(attempt, 4));
    }
  }
}

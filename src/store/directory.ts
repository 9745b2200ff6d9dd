import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { explainFile, filesBelow, removed, statOf, syncFolders, writeNew } from "./directory-files.ts";
import { damaged, exists, missing, refused, unsupported } from "./faults.ts";
import { byKey, checkKey, isKey } from "./keys.ts";
import { SourceFailure } from "./source.ts";
import type { PutOptions, Store, StoredObject } from "./store.ts";

/** What a killed writer leaves; keys never begin with a dot. */
const UNFINISHED = /^\.unfinished-[0-9a-f]{16}$/;
const CLAIM = /^\.claim-\d{4}-\d\d-\d\dT[^/]*$/;
const READ_BYTES = 256 * 1024;

/** File systems that know no hard links (FAT, some network and FUSE mounts) answer with one of these. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EINVAL"]);

/** The one call that tests replace, to be on a file system without hard links. */
export interface DirectoryCalls {
  readonly link: (from: string, to: string) => Promise<void>;
}

/**
 * Backups in a folder: of the runner, or of a disk that is mounted there. An object is written to a temporary file beside
 * the others, flushed to the disk, and then given its name by link(2), which fails when the name is taken.
 */
export class DirectoryStore implements Store {
  readonly location: string;
  readonly #root: string;
  readonly #deps: Pick<Deps, "log" | "clock">;
  readonly #calls: DirectoryCalls;

  /** @param root absolute; it is made by the first `put`, its parent must be there */
  constructor(root: string, deps: Pick<Deps, "log" | "clock">, calls: DirectoryCalls = { link }) {
    this.#root = root;
    this.location = `dir:${root}`;
    this.#deps = deps;
    this.#calls = calls;
  }

  async put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<StoredObject> {
    checkKey(key);
    if (options.lockDays !== undefined) {
      throw unsupported(this.location, "lock objects", "Leave object-lock-days out, or use an S3 bucket that locks.");
    }
    options.signal?.throwIfAborted();
    const target = join(this.#root, ...key.split("/"));
    const temporary = join(this.#root, `.unfinished-${randomBytes(8).toString("hex")}`);
    try {
      await this.#makeRoot();
      if ((await statOf(target)) !== undefined) throw exists(this.location, key);
      const bytes = await writeNew(temporary, body, options.signal);
      await this.#makeFolders(dirname(target));
      await this.#name(temporary, target, key);
      await syncFolders(dirname(target), this.#root);
      const { mtime } = await lstat(target);
      return { key, bytes, modified: mtime };
    } catch (failure) {
      options.signal?.throwIfAborted();
      throw failure instanceof SourceFailure ? failure.cause : await explainFile(failure, this.#root);
    } finally {
      await unlink(temporary).catch(() => undefined);
    }
  }

  async *get(key: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array> {
    checkKey(key);
    let file: FileHandle;
    try {
      await this.#checkFolders(key);
      // A link in the place of an object would hand out a file that is none of ours.
      file = await open(join(this.#root, ...key.split("/")), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    } catch (failure) {
      if (["ENOENT", "ENOTDIR"].includes(systemCode(failure) ?? "")) {
        throw missing(this.location, key, "Look at what the folder holds; a backup has a folder of its own.", {
          cause: failure,
        });
      }
      throw await explainFile(failure, this.#root);
    }
    try {
      const { size } = await file.stat();
      let position = 0;
      while (position < size) {
        options.signal?.throwIfAborted();
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position);
        if (bytesRead === 0) {
          throw damaged(this.location, key, `it ended after ${position} of ${size} bytes`);
        }
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } catch (failure) {
      options.signal?.throwIfAborted();
      throw await explainFile(failure, this.#root);
    } finally {
      await file.close();
    }
  }

  async list(prefix = ""): Promise<readonly StoredObject[]> {
    try {
      const found: StoredObject[] = [];
      for await (const { path, stats } of filesBelow(this.#root)) {
        const key = relative(this.#root, path).split(sep).join("/");
        if (isKey(key) && key.startsWith(prefix)) found.push({ key, bytes: stats.size, modified: stats.mtime });
      }
      return found.sort(byKey);
    } catch (failure) {
      throw await explainFile(failure, this.#root);
    }
  }

  async stat(key: string): Promise<StoredObject | undefined> {
    checkKey(key);
    try {
      await this.#checkFolders(key);
      const stats = await statOf(join(this.#root, ...key.split("/")));
      return stats?.isFile() === true ? { key, bytes: stats.size, modified: stats.mtime } : undefined;
    } catch (failure) {
      if (["ENOENT", "ENOTDIR"].includes(systemCode(failure) ?? "")) return undefined;
      throw await explainFile(failure, this.#root);
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    try {
      for (const key of keys.map(checkKey)) {
        const path = join(this.#root, ...key.split("/"));
        const stats = await statOf(path);
        if (stats === undefined) continue;
        await this.#checkFolders(key);
        if (stats.isFile()) await unlink(path);
        // Its folder goes with the last object.
        for (let folder = dirname(path); folder !== this.#root; folder = dirname(folder)) {
          if (!(await removed(folder))) break;
        }
      }
    } catch (failure) {
      throw await explainFile(failure, this.#root);
    }
  }

  async removeUnfinished(olderThanMs: number): Promise<number> {
    let count = 0;
    try {
      for (const name of await readdir(this.#root)) {
        if (!UNFINISHED.test(name) && !CLAIM.test(name)) continue;
        const path = join(this.#root, name);
        const stats = await statOf(path);
        if (stats === undefined || this.#deps.clock.now() - stats.mtimeMs <= olderThanMs) continue;
        await (stats.isDirectory() ? rmdir(path) : unlink(path));
        count += 1;
      }
    } catch (failure) {
      if (systemCode(failure) !== "ENOENT") throw await explainFile(failure, this.#root);
    }
    return count;
  }

  async #makeRoot(): Promise<void> {
    try {
      await mkdir(this.#root, { mode: 0o700 });
      this.#deps.log.info(`Made the folder ${this.#root} for backups.`);
    } catch (failure) {
      if (systemCode(failure) !== "EEXIST") throw failure;
    }
  }

  /** Makes the folders of a key, each 0700, and follows no link on the way. */
  async #makeFolders(folder: string): Promise<void> {
    let path = this.#root;
    for (const name of relative(this.#root, folder)
      .split(sep)
      .filter((part) => part !== "")) {
      path = join(path, name);
      await mkdir(path, { mode: 0o700 }).catch((failure: unknown) => {
        if (systemCode(failure) !== "EEXIST") throw failure;
      });
      await this.#checkFolder(path);
    }
  }

  async #checkFolders(key: string): Promise<void> {
    const names = key.split("/").slice(0, -1);
    for (let count = 1; count <= names.length; count += 1) {
      await this.#checkFolder(join(this.#root, ...names.slice(0, count)));
    }
  }

  async #checkFolder(path: string): Promise<void> {
    if ((await lstat(path)).isDirectory()) return;
    throw refused(
      `${path} is a link or a file where backups have a folder.`,
      "Look at who put it there; links below a destination are not followed.",
    );
  }

  /** Gives the finished file its name, unless that is taken. */
  async #name(temporary: string, target: string, key: string): Promise<void> {
    try {
      await this.#calls.link(temporary, target);
    } catch (failure) {
      const code = systemCode(failure) ?? "";
      if (code === "EEXIST") throw exists(this.location, key, { cause: failure });
      if (!NO_LINKS.has(code)) throw failure;
      await this.#rename(temporary, target, key);
    }
  }

  /** Without hard links: rename(2) would overwrite, so the writer who can make the claim's folder is the one who may. */
  async #rename(temporary: string, target: string, key: string): Promise<void> {
    const claim = join(this.#root, `.claim-${key.replaceAll("/", "+")}`);
    try {
      await mkdir(claim, { mode: 0o700 });
    } catch (failure) {
      if (systemCode(failure) === "EEXIST") throw exists(this.location, key, { cause: failure });
      throw failure;
    }
    try {
      if ((await statOf(target)) !== undefined) throw exists(this.location, key);
      await rename(temporary, target);
    } finally {
      await rmdir(claim).catch(() => undefined);
    }
  }
}

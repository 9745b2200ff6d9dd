/** Pushed code: modules, their hashes, and the packages they are stored as (contract 5.2, `storage/modules`). */
import { createHash } from "node:crypto";
import type { PackageSource } from "../runtime/protocol.ts";
import { type Blobs, internalError } from "../types.ts";

export interface Module {
  readonly path: string;
  readonly source: string;
  readonly sourceMap?: string;
  readonly environment: "isolate" | "node";
}

export interface ModuleHash {
  readonly path: string;
  readonly hash: string;
  readonly environment: "isolate" | "node";
}

/** All modules of one definition, `schema.js` and `convex.config.js` included. */
export interface Package {
  readonly modules: readonly Module[];
  /** What a thread loads; its id is the same for the same code. */
  readonly isolate: PackageSource;
}

/** Packages kept parsed; enough for a deployed app and one under way. */
const MAX_CACHED = 24;

export function moduleHash(module: Module): string {
  return createHash("sha256")
    .update(module.source)
    .update(module.sourceMap ?? "")
    .digest("hex");
}

export function makePackage(modules: readonly Module[]): Package {
  const hash = createHash("sha256");
  for (const module of modules) hash.update(`${module.path}\n${module.environment}\n${moduleHash(module)}\n`);
  const isolate = modules.filter((module) => module.environment === "isolate");
  return { modules, isolate: { id: hash.digest("hex"), modules: isolate } };
}

export class Packages {
  readonly #blobs: Blobs;
  readonly #cache = new Map<string, Package>();

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  /** Stores a package; its key. */
  async put(content: Package): Promise<string> {
    const key = await this.#blobs.put("modules", Buffer.from(JSON.stringify(content.modules)));
    this.#remember(key, content);
    return key;
  }

  /** Throws 500 when it is not there (contract 1.8: code lives in `storage/modules`). */
  async get(key: string): Promise<Package> {
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const bytes = await this.#blobs.get("modules", key);
    if (bytes === undefined) throw internalError();
    const content = makePackage(JSON.parse(bytes.toString()) as Module[]);
    this.#remember(key, content);
    return content;
  }

  /** Already in memory. */
  cached(key: string): Package | undefined {
    return this.#cache.get(key);
  }

  #remember(key: string, content: Package): void {
    this.#cache.set(key, content);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
  }
}

/** Modules that are no functions: shared chunks, schema and definition. */
export function isPlumbing(path: string): boolean {
  return path.startsWith("_deps/") || path === "schema.js" || path === "convex.config.js";
}

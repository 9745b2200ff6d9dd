import { readFile, writeFile } from "node:fs/promises";
import { expect } from "vitest";
import { inspectSnapshot } from "../../src/snapshot/inspect.ts";
import type { Inspection } from "../../src/snapshot/inspection.ts";
import { readZip } from "../standin/snapshots/zip-reader.ts";
import { scratch } from "./snapshot.ts";

/** Tells of damaged copies of one snapshot whether the damage is found. */
export class DamageJudge {
  readonly original: Buffer;
  readonly #intact: Inspection;
  readonly #content: [string, string][];

  private constructor(original: Buffer, intact: Inspection) {
    this.original = original;
    this.#intact = intact;
    this.#content = contentOf(original);
  }

  static async of(path: string): Promise<DamageJudge> {
    return new DamageJudge(await readFile(path), await inspectSnapshot(path));
  }

  /** When it is not found, it must be proved that nothing in the snapshot has changed. */
  async judge(damaged: Buffer): Promise<"found" | "harmless"> {
    await using files = await scratch();
    await writeFile(files.path("x.zip"), damaged);
    const inspection = await inspectSnapshot(files.path("x.zip"));
    expect(inspection.sha256).not.toBe(this.#intact.sha256);
    if (inspection.findings.some(({ level }) => level === "error")) return "found";
    expect(facts(inspection)).toEqual(facts(this.#intact));
    expect(contentOf(damaged)).toEqual(this.#content);
    return "harmless";
  }
}

/** Names and bytes as a reader of its own sees them. */
function contentOf(bytes: Buffer): [string, string][] {
  return readZip(bytes).map((entry) => [entry.name, entry.read().toString("base64")]);
}

/** Everything but what the file as a whole is. */
function facts({ tables, storage, documents, files, encoding, uncompressedBytes }: Inspection): object {
  return { tables, storage, documents, files, encoding, uncompressedBytes };
}

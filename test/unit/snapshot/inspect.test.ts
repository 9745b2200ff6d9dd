import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import { BASE, scratch, writeZip } from "../../support/snapshot.ts";

const recorded = (name: string): string => join(import.meta.dirname, "../../fixtures/snapshots", name);

describe("snapshots that a backend made", () => {
  it("counts documents and files of all components, and finds nothing wrong", async () => {
    const inspection = await inspectSnapshot(recorded("with-component.zip"));
    expect(inspection).toMatchObject({
      documents: 45,
      files: 12,
      encoding: "uniform",
      bytes: 11788,
      uncompressedBytes: 9494,
      sha256: "71a8a37aee6b75a5c0b6895ad2b1631365d7105f46489ae25d3e048b166db25c",
    });
    const counts = inspection.tables.map(({ component, name, documents }) => [component, name, documents]);
    expect(counts).toEqual([
      ["", "files", 9],
      ["", "messages", 2],
      ["", "nothing", 0],
      ["", "refs", 0],
      ["", "values", 32],
      ["second", "counters", 1],
      ["widget", "counters", 1],
    ]);
    expect(inspection.storage?.map(({ component, files, bytes }) => [component, files, bytes])).toEqual([
      ["", 11, 59],
      ["second", 0, 0],
      ["widget", 1, 12],
    ]);
    expect(inspection.findings.map(({ kind }) => kind)).toEqual(["component-storage-empty"]);
  });

  it.each(["all-value-types.zip", "empty.zip", "with-storage.zip"])("finds nothing wrong with %s", async (name) => {
    expect((await inspectSnapshot(recorded(name))).findings).toEqual([]);
  });

  it("knows a snapshot without file storage from one without files", async () => {
    expect((await inspectSnapshot(recorded("all-value-types.zip"))).storage).toBeUndefined();
    expect((await inspectSnapshot(recorded("empty.zip"))).storage).toMatchObject([{ component: "", files: 0 }]);
  });

  it("takes a SHA-256 that is known already", async () => {
    const sha256 = "0".repeat(64);
    expect((await inspectSnapshot(recorded("empty.zip"), { sha256 })).sha256).toBe(sha256);
  });

  it("throws only where the file itself cannot be read", async () => {
    await expect(inspectSnapshot("/nowhere/snapshot.zip")).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("digests", () => {
  const digestOf = async (lines: string): Promise<string | undefined> => {
    await using files = await scratch();
    const entries = BASE.map(
      ([name, content]) => [name, name === "messages/documents.jsonl" ? lines : content] as const,
    );
    const inspection = await inspectSnapshot(await writeZip(files.path("x.zip"), entries));
    return inspection.tables.find(({ name }) => name === "messages")?.digest;
  };
  const [a, b] = ['{"_id":"a","n":1.0}', '{"_id":"b","n":2.0}'] as const;

  it("do not depend on the order of the lines, nor on the kind of line break", async () => {
    const digest = await digestOf(`${a}\n${b}\n`);
    expect(await digestOf(`${b}\n${a}\n`)).toBe(digest);
    expect(await digestOf(`${a}\r\n${b}\r\n`)).toBe(digest);
    expect(await digestOf(`${a}\n${b}`)).toBe(digest);
  });

  it("depend on values as text, on how often a line is there, and on which document has which value", async () => {
    const digests = await Promise.all(
      [
        `${a}\n${b}\n`,
        `${a}\n`,
        `${a}\n${a}\n`,
        '{"_id":"a","n":1}\n',
        '{"_id":"a","n":2.0}\n{"_id":"b","n":1.0}\n',
        "",
      ].map(digestOf),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });
});

it("sees the same in a copy of a recorded snapshot whatever its name", async () => {
  await using files = await scratch();
  const { writeFile } = await import("node:fs/promises");
  await writeFile(files.path("copy"), await readFile(recorded("with-storage.zip")));
  expect(await inspectSnapshot(files.path("copy"))).toEqual(await inspectSnapshot(recorded("with-storage.zip")));
});

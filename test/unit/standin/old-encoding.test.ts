import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { issueKey } from "../../standin/generate-key.ts";
import { writeExport } from "../../standin/snapshots/export-zip.ts";
import { readZip } from "../../standin/snapshots/zip-reader.ts";
import { ZipWriter } from "../../standin/snapshots/zip-writer.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";

async function oldExport({ backend }: Standin): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), "old-"));
  const path = join(directory, "x.zip");
  const zip = await ZipWriter.create(path);
  const { blobs, store } = backend;
  await writeExport(zip, {
    tx: store.beginRead(),
    blobs,
    includeStorage: false,
    oldEncoding: true,
    progress: async () => {},
  });
  await zip.finish();
  const bytes = readFileSync(path);
  rmSync(directory, { recursive: true });
  return bytes;
}

async function importAll({ url, backend }: Standin, body: Buffer): Promise<unknown> {
  const { instanceName, instanceSecret } = backend.options;
  const key = issueKey(instanceName, instanceSecret, { legacy: backend.like === "first" });
  const headers = { authorization: `Convex ${key}` };
  const answer = await fetch(`${url}/api/import?format=zip&mode=replaceAll`, { method: "POST", headers, body });
  return answer.json();
}

describe("exports of the first releases (contract 7.2, 11)", () => {
  it("hold shapes, and come back on a newer one with all types", async () => {
    await using first = await startStandin({ like: "first" });
    const documents = [
      { n: 5n, b: Uint8Array.of(0, 255).buffer, u: "7", o: { x: 1.5 } },
      { n: -1n, b: Uint8Array.of().buffer, u: 7n, l: [1n, 2n], f: Number.NaN },
    ];
    await first.backend.store.write((tx) => {
      for (const fields of documents) tx.insert("", "t", fields);
    });
    const before = first.backend.store.read((tx) => tx.scan("", "t"));
    const zip = await oldExport(first);
    const schema =
      readZip(zip)
        .find((entry) => entry.name === "t/generated_schema.jsonl")
        ?.read()
        .toString() ?? "";
    const [shape = "", override = ""] = schema.split("\n");
    expect(JSON.parse(shape)).toBe(
      '{"_creationTime": normalfloat64, "_id": string, "b": bytes, "f"?: NaN, "l"?: array<int64>, "n": int64, "o"?: {"x": normalfloat64}, "u": int64 | string}',
    );
    expect(JSON.parse(override)).toEqual({ [String(before[1]?._id)]: { u: "int64" } });

    await using newer = await startStandin();
    expect(await importAll(newer, zip)).toEqual({ numWritten: 2 });
    expect(newer.backend.store.read((tx) => tx.scan("", "t"))).toEqual(before);
  });

  it("is all that they import", async () => {
    await using first = await startStandin({ like: "first" });
    const recorded = readFileSync(new URL("../../fixtures/snapshots/all-value-types.zip", import.meta.url));
    expect(await importAll(first, recorded)).toMatchObject({
      message: expect.stringMatching(/cannot parse .*generated_schema.jsonl: unexpected token at 'uniform'/),
    });
  });
});

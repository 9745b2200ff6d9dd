import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { Spool, writeFailure } from "../../../src/snapshot/spool.ts";
import { directoryWith } from "../deployment/support.ts";

async function collect(spool: Spool): Promise<string> {
  let text = "";
  for await (const bytes of spool.read()) text += bytes.toString();
  return text;
}

async function collectBytes(spool: Spool): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const bytes of spool.read()) parts.push(Buffer.from(bytes));
  return Buffer.concat(parts);
}

describe("a spool", () => {
  it("is read while it is written, by several, to its end", async () => {
    await using folder = await directoryWith({});
    await using spool = await Spool.create(join(folder.path, "s"));
    const readers = [collect(spool), collect(spool)];
    let text = "";
    for (let n = 0; n < 2000; n += 1) {
      text += `${n},`;
      await spool.write(Buffer.from(`${n},`));
    }
    readers.push(collect(spool));
    await spool.complete();
    expect(await Promise.all(readers)).toEqual([text, text, text]);
    expect(await readFile(spool.path, "utf8")).toBe(text);
  });

  it("holds more than one block, whatever the pieces", async () => {
    await using folder = await directoryWith({});
    await using spool = await Spool.create(join(folder.path, "s"));
    const bytes = randomBytes(3 * 1024 * 1024 + 5);
    const [early, rest] = [collectBytes(spool), [700_000, 1024 * 1024, 1024 * 1024 + 1, bytes.length]];
    let at = 0;
    for (const length of rest) {
      // Its memory is the writer's own again as soon as it is written.
      const piece = Buffer.from(bytes.subarray(at, at + length));
      await spool.write(piece);
      piece.fill(0);
      at += length;
    }
    await spool.complete();
    expect((await early).equals(bytes)).toBe(true);
    expect((await readFile(spool.path)).equals(bytes)).toBe(true);
  });

  it("is nobody else's, and gone in the end", async () => {
    await using folder = await directoryWith({});
    {
      await using spool = await Spool.create(join(folder.path, "s"));
      expect((await stat(spool.path)).mode & 0o777).toBe(0o600);
      await expect(Spool.create(spool.path)).rejects.toMatchObject({ code: "disk-unwritable" });
    }
    expect(await readdir(folder.path)).toEqual([]);
  });

  it("tells its readers why nothing comes any more", async () => {
    await using folder = await directoryWith({});
    await using spool = await Spool.create(join(folder.path, "s"));
    const reader = expect(collect(spool)).rejects.toThrow("the download failed");
    await spool.write(Buffer.from("x"));
    spool.fail(new Error("the download failed"));
    await reader;
  });

  it("ends its readers when it is removed", async () => {
    await using folder = await directoryWith({});
    const spool = await Spool.create(join(folder.path, "s"));
    const reader = expect(collect(spool)).rejects.toThrow("was removed");
    await spool[Symbol.asyncDispose]();
    await reader;
  });

  it.runIf(process.platform === "linux")("on a full disk says so", async () => {
    const error: unknown = await pipeline(["x"], createWriteStream("/dev/full")).catch((failure: unknown) => failure);
    expect(writeFailure("/tmp/s", error)).toMatchObject({ code: "disk-full" });
    expect(writeFailure("/tmp/s", new Error("else"))).toMatchObject({ code: "disk-unwritable" });
  });
});

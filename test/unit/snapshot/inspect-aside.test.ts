import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inspectSnapshot } from "../../../src/snapshot/inspect.ts";
import { inspectAside } from "../../../src/snapshot/inspect-aside.ts";
import { generateSnapshot } from "../../support/generator.ts";
import { BASE, changed, linesOf, scratch, writeZip } from "../../support/snapshot.ts";

describe("an inspection in a thread of its own", () => {
  it("tells the same of a good snapshot and of a bad one", async () => {
    await using files = await scratch();
    const broken = changed(BASE, "messages/documents.jsonl", linesOf(['{"_id":"a",', "[]"]));
    const bad = await writeZip(files.path("bad.zip"), broken);
    const good = join(import.meta.dirname, "../../fixtures/snapshots/with-component.zip");
    const sha256 = "0".repeat(64);
    for (const path of [good, bad]) {
      expect(await inspectAside(path, { sha256 }, 0)).toEqual(await inspectSnapshot(path, { sha256 }));
    }
    expect((await inspectSnapshot(bad)).findings.map(({ level }) => level)).toContain("error");
  });

  it("fails with the same error, and its code", async () => {
    await using files = await scratch();
    await mkdir(files.path("snapshot.zip"));
    const failure = await inspectSnapshot(files.path("snapshot.zip")).catch((error: unknown) => error);
    const aside = await inspectAside(files.path("snapshot.zip"), {}, 0).catch((error: unknown) => error);
    expect(aside).toMatchObject({ code: "EISDIR", message: (failure as Error).message });
  });

  it("ends with the reason of its signal, before it began or in the middle", async () => {
    await using files = await scratch();
    await generateSnapshot(files.path("large.zip"), { bytes: 1_000_000 });
    const reason = new Error("cancelled");
    await expect(inspectAside(files.path("large.zip"), { signal: AbortSignal.abort(reason) }, 0)).rejects.toBe(reason);
    const stop = new AbortController();
    const inspecting = inspectAside(files.path("large.zip"), { signal: stop.signal }, 0);
    setImmediate(() => stop.abort(reason));
    await expect(inspecting).rejects.toBe(reason);
  });
});

import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type BinaryState, startBinary } from "../../../src/backend/binary.ts";
import { stopBinary } from "../../../src/backend/binary-stop.ts";
import { fullDisk } from "../../../src/backend/disk-space.ts";
import { waitUntilReady } from "../../../src/backend/readiness.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { machine, specOf, temporary } from "./support.ts";

/** A file system of its own that can be filled; undefined where this process may not mount. */
async function smallDisk(): Promise<string | undefined> {
  const directory = join(await temporary(), "small");
  await mkdir(directory);
  if (process.platform !== "linux") return undefined;
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory]).status !== 0) return undefined;
  onTestFinished(() => void spawnSync("umount", ["--lazy", directory]));
  return directory;
}

async function fill(directory: string): Promise<void> {
  await writeFile(join(directory, "ballast"), Buffer.alloc(2 ** 21)).catch(() => undefined);
}

it("sees no full disk where there is space, or nothing to ask", async () => {
  expect(await fullDisk([await temporary(), "/nonexistent/anywhere"])).toBeUndefined();
});

it("names a disk that is full", async (context) => {
  const disk = await smallDisk();
  if (disk === undefined) return context.skip();
  expect(await fullDisk([disk])).toBeUndefined();
  await fill(disk);
  expect(await fullDisk([await temporary(), disk])).toMatch(new RegExp(`^No space left on device: ${disk} `));
});

it.each([0, 1])("tells why a backend ended with %i whose log could not be written", async (exitCode) => {
  const disk = await smallDisk();
  const temp = disk ?? (await temporary());
  const executable = join(await temporary(), "fake");
  const full = `#!/bin/sh\ncat /dev/zero > "$TMPDIR/ballast" 2>/dev/null\necho "Error: lost" 2>/dev/null\nexit ${exitCode}\n`;
  const silent = `#!/bin/sh\necho "ERROR: SQLITE_FULL"\nexit ${exitCode}\n`;
  await writeFile(executable, disk === undefined ? silent : full, { mode: 0o755 });
  const { deps } = machine();
  const [port = 0, sitePort = 0] = await freePorts(2);
  let state: BinaryState | undefined;
  onTestFinished(async () => {
    if (state !== undefined) await stopBinary(state, deps);
  });
  const backend = await startBinary(
    specOf({ port, sitePort }),
    { executable, owner: `full-${port}`, temp },
    (next) => {
      state = next as BinaryState;
    },
    deps,
  );
  const wish = { instanceName: "lab", adminKey: "lab|01", timeoutMs: 10_000, secrets: [] };
  await expect(waitUntilReady(backend, wish, deps)).rejects.toMatchObject({
    code: "backend-exited",
    message: expect.stringMatching(/: the disk is full/),
    hint: expect.stringContaining("Free space"),
  });
});

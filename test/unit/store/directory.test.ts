import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { DirectoryStore } from "../../../src/store/directory.ts";
import { conformance } from "./conformance.ts";
import { storeDeps } from "./support.ts";

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "store-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

conformance("directory", { boundary: 256 * 1024 }, async () => {
  const root = join(await folder(), "backups");
  return { store: new DirectoryStore(root, storeDeps()), other: new DirectoryStore(root, storeDeps()) };
});

conformance("directory without hard links", { boundary: 256 * 1024 }, async () => {
  const root = join(await folder(), "backups");
  const link = async (): Promise<void> => {
    throw Object.assign(new Error("EPERM: operation not permitted, link"), { code: "EPERM" });
  };
  const open = (): DirectoryStore => new DirectoryStore(root, storeDeps(), { link });
  return { store: open(), other: open() };
});

import { rmSync } from "node:fs";
import { cp, mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildStandin } from "../standin/bundle.ts";
import { root } from "../support/job.ts";

let built: Promise<string> | undefined;

/** The stand-in as one executable file; made once a test process, and gone with it. */
export function standin(): Promise<string> {
  built ??= mkdtemp(join(tmpdir(), "standin-")).then((directory) => {
    process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
    return buildStandin(directory);
  });
  return built;
}

/** A copy of examples/chat that a test may change; its packages are the repository's own. */
export async function chatApp(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "chat-"));
  await cp(join(root, "examples", "chat"), directory, { recursive: true });
  await symlink(join(root, "node_modules"), join(directory, "node_modules"));
  return directory;
}

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { Deps } from "../../system/deps.ts";
import { FOLDER_PREFIX, removeFiles } from "./files.ts";

/** Ends the connection whose files are in `folder`, asked over its own control socket, and removes them. */
export async function endConnection(folder: string, deps: Deps): Promise<void> {
  if (!basename(folder).startsWith(FOLDER_PREFIX)) throw new Error(`${folder} is not ours`);
  const control = join(folder, "control");
  try {
    if (existsSync(control)) {
      await deps.exec.run("ssh", ["-F", "none", "-o", `ControlPath=${control}`, "-O", "exit", "--", "left"], {
        timeoutMs: 10_000,
      });
    }
  } finally {
    await removeFiles(folder);
  }
}

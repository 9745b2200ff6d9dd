import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { ActionError, messageOf } from "../runner/errors.ts";

/**
 * Reads the files of `env-file`, in their order; paths are relative to the workspace.
 * @throws ActionError env-file-unreadable
 */
export async function readEnvFiles(
  paths: readonly string[],
  workspace: string,
): Promise<{ path: string; text: string }[]> {
  return await Promise.all(
    paths.map(async (path) => {
      try {
        return { path, text: await readFile(resolve(workspace, path), "utf8") };
      } catch (error) {
        throw new ActionError(
          "env-file-unreadable",
          `env-file: ${path} cannot be read: ${messageOf(error)}.`,
          "Name a file relative to the workspace; check that a step before this one writes it.",
          { cause: error },
        );
      }
    }),
  );
}

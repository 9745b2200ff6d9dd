import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";

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
        // Anything else would arrive as other bytes than the file has.
        const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
          await readFile(resolve(workspace, path)),
        );
        return { path, text };
      } catch (error) {
        throw new ActionError(
          "env-file-unreadable",
          `env-file: ${path} cannot be read: ${messageOf(error)}.`,
          systemCode(error) === "ERR_ENCODING_INVALID_ENCODED_DATA"
            ? "Save it as UTF-8."
            : "Name a file relative to the workspace; check that a step before this one writes it.",
          { cause: error },
        );
      }
    }),
  );
}

import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { systemCode } from "../runner/errors.ts";

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/**
 * Makes a folder, and those above it that are missing. Node's own `recursive` tries for ever below a folder in which none
 * can be made although it is there (/proc).
 * @throws the file system's error
 */
export function makeFolders(path: string, mode = 0o777): void {
  const parent = dirname(path);
  if (!isFolder(parent) && parent !== path) makeFolders(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (systemCode(error) !== "EEXIST" || !isFolder(path)) throw error;
  }
}

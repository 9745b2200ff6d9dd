/** Components by path and by id. The root is ""; the others have a document each in the root's `_components`. */
import type { ReadTransaction, WriteTransaction } from "./types.ts";

const TABLE = "_components";

/** Paths of all components, unmounted ones too: the root first, then in order of their ids (contract 7.2). */
export function componentPaths(tx: ReadTransaction): string[] {
  const documents = [...tx.scan("", TABLE)].sort((a, b) => (a._id < b._id ? -1 : 1));
  return ["", ...documents.map((document) => String(document["path"]))];
}

export function componentIdOf(tx: ReadTransaction, path: string): string | undefined {
  return tx.scan("", TABLE).find((document) => document["path"] === path)?._id;
}

/** Undefined for an id that is none of a component. */
export function componentPathOf(tx: ReadTransaction, id: string): string | undefined {
  const document = tx.scan("", TABLE).find((each) => each._id === id);
  return document === undefined ? undefined : String(document["path"]);
}

/** Makes a component that an import names, and its parents, as unmounted ones (contract 7.3). */
export function ensureComponent(tx: WriteTransaction, path: string): void {
  if (path === "" || componentIdOf(tx, path) !== undefined) return;
  ensureComponent(tx, path.split("/").slice(0, -1).join("/"));
  tx.insert("", TABLE, { path, state: "unmounted" });
}

/** `""` or `_components/widget/_components/inner/`: where a component's entries lie in a snapshot. */
export function zipPrefix(path: string): string {
  return path === ""
    ? ""
    : path
        .split("/")
        .map((name) => `_components/${name}/`)
        .join("");
}

/** `in 'widget'`, with a blank before it; nothing for the root. */
export function inComponent(path: string): string {
  return path === "" ? "" : ` in '${path}'`;
}

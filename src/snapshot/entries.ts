import type { DefectKind } from "./defects.ts";

/** What an entry of a snapshot is, by its name (contract 7.2). */
export type EntryRole =
  | { readonly role: "readme" | "folder" | "unknown" }
  | { readonly role: "numbers" | "metadata"; readonly component: string }
  | { readonly role: "documents" | "schema"; readonly component: string; readonly table: string }
  | { readonly role: "file"; readonly component: string; readonly id: string }
  | { readonly role: "defect"; readonly kind: DefectKind; readonly detail?: string };

export interface EntryPlace {
  readonly entry: EntryRole;
  /** Folders in front that the importer ignores; `""` in what a backend writes. */
  readonly folder: string;
}

const IDENTIFIER = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
const OWN_NAMES = ["documents.jsonl", "generated_schema.jsonl"];
const OWN_FOLDERS = ["_tables", "_storage", "_components"];

/** The importer looks at the last two parts of a name and at every `_components/<name>` before them. */
export function placeOf(name: string): EntryPlace {
  const unsafe = unsafeName(name);
  if (unsafe !== undefined) return { entry: { role: "defect", kind: unsafe }, folder: "" };
  const parts = name.split("/");
  const file = parts.at(-1) ?? "";
  const holder = parts.at(-2) ?? "";
  const { names, folder } = componentsOf(parts.slice(0, -2));
  const component = names.join("/");
  const wrong = names.find((each) => !IDENTIFIER.test(each));
  if (wrong !== undefined) return { entry: { role: "defect", kind: "bad-identifier", detail: wrong }, folder };
  return { entry: roleOf(component, holder, file, name), folder: holder === "" ? "" : folder };
}

/** Names that could leave the folder they are unpacked to; the importer does not unpack, but people do. */
function unsafeName(name: string): DefectKind | undefined {
  if (/[\0-\x1f\x7f]/.test(name)) return "name-unsafe";
  if (name.includes("\\")) return "name-backslash";
  if (name === "" || name.startsWith("/") || /^[A-Za-z]:/.test(name) || name.split("/").includes("..")) {
    return "name-unsafe";
  }
  return undefined;
}

function componentsOf(parts: readonly string[]): { names: string[]; folder: string } {
  const names: string[] = [];
  const others: string[] = [];
  for (let i = 0; i < parts.length; i += 1) {
    if (parts[i] === "_components" && i + 1 < parts.length) names.push(parts[++i] ?? "");
    else others.push(parts[i] ?? "");
  }
  return { names, folder: others.join("/") };
}

function roleOf(component: string, holder: string, file: string, name: string): EntryRole {
  if (file === "") return { role: "folder" };
  if (name === "README.md") return { role: "readme" };
  if (file === ".DS_Store" || name.split("/").includes("__MACOSX")) return { role: "unknown" };
  if (holder === "_storage" && file !== "documents.jsonl") return fileRole(component, file);
  const proper = properCase(holder, file);
  if (proper !== undefined) return { role: "defect", kind: "wrong-case", detail: proper };
  if (!OWN_NAMES.includes(file) || holder === "") return { role: "unknown" };
  const documents = file === "documents.jsonl";
  if (holder === "_tables" && documents) return { role: "numbers", component };
  if (holder === "_storage" && documents) return { role: "metadata", component };
  if (holder.startsWith("_")) return { role: "defect", kind: "system-table", detail: holder };
  if (!IDENTIFIER.test(holder)) return { role: "defect", kind: "bad-identifier", detail: holder };
  return { role: documents ? "documents" : "schema", component, table: holder };
}

/** Files that begin with a point are left alone by the importer; any other must be named by its id. */
function fileRole(component: string, file: string): EntryRole {
  if (file.startsWith(".")) return { role: "unknown" };
  return { role: "file", component, id: file.split(".")[0] ?? "" };
}

function properCase(holder: string, file: string): string | undefined {
  const lower = file.toLowerCase();
  if (OWN_NAMES.includes(lower) && lower !== file) return lower;
  const folder = holder.toLowerCase();
  return OWN_NAMES.includes(file) && OWN_FOLDERS.includes(folder) && folder !== holder ? folder : undefined;
}

/** `widget` → `_components/widget/`, `""` → `""`. */
export function prefixOf(component: string): string {
  return component === "" ? "" : component.replace(/[^/]+/g, "_components/$&").concat("/");
}

/** As people know it: `orders`, `widget/counters`. */
export function tableKey(component: string, table: string): string {
  return component === "" ? table : `${component}/${table}`;
}

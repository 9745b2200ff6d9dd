/** Names of functions: `messages:list`, `messages.js:list`, `messages` (contract 6.2). */
import { ApiError, type FunctionPath } from "./types.ts";

/** Why a text names no function, or its canonical form. */
export function parseFunctionPath(text: string): FunctionPath | { defect: string } {
  const colon = text.indexOf(":");
  const file = colon < 0 ? text : text.slice(0, colon);
  const name = colon < 0 ? "default" : text.slice(colon + 1);
  const parts = file.split("/");
  const base = parts.pop() ?? "";
  if (base === "") return { defect: `Module path ${file} doesn't have a filename.` };
  const dot = base.indexOf(".");
  if (dot >= 0 && base.slice(dot) !== ".js")
    return { defect: `Module path (${file}) has an extension that isn't 'js'.` };
  const module = [...parts, dot < 0 ? `${base}.js` : base].join("/");
  for (const part of module.split("/")) {
    if (/^[A-Za-z0-9_.]+$/.test(part)) continue;
    return { defect: `Path component ${part} can only contain alphanumeric characters, underscores, or periods.` };
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { defect: `Identifier ${name} has an invalid character.` };
  return { module, name };
}

/** Of an HTTP body; 400 `BadConvexFunctionIdentifier`. */
export function functionPath(text: string): FunctionPath {
  const path = parseFunctionPath(text);
  if (!("defect" in path)) return path;
  const message = `${text} is not a valid path to a Convex function. ${path.defect}`;
  throw new ApiError(400, "BadConvexFunctionIdentifier", message);
}

/** `messages:send`; a default export goes by its module alone. */
export function pathText({ module, name }: FunctionPath): string {
  const file = module.replace(/\.js$/, "");
  return name === "default" ? file : `${file}:${name}`;
}

export const isSystemPath = (path: FunctionPath) => path.module.startsWith("_system/");

/** What a function names when it calls another: a path, a component's export, or a handle. */
import { definitionAt, instancesOf } from "../deploy/deployed.ts";
import { parseFunctionPath } from "../function-path.ts";
import type { FunctionPath, ReadTransaction } from "../types.ts";

export interface Target {
  readonly component: string;
  readonly path: FunctionPath;
}

export interface Address {
  readonly name?: string;
  readonly reference?: string;
  readonly functionHandle?: string;
}

const CHILD = "_reference/childComponent/";
const OWN = "_reference/function/";
const HANDLE = "function://";

/** Throws Error when it names nothing. */
export function resolveAddress(tx: ReadTransaction, from: string, address: Address): Target {
  if (address.functionHandle !== undefined) return fromHandle(address.functionHandle);
  if (address.reference !== undefined) return fromReference(tx, from, address.reference);
  return { component: from, path: readPath(address.name ?? "") };
}

export function handleOf({ component, path }: Target): string {
  return `${HANDLE}${component};${path.module}:${path.name}`;
}

function fromHandle(handle: string): Target {
  const [component = "", name = ""] = handle.slice(HANDLE.length).split(";");
  return { component, path: readPath(name) };
}

function readPath(name: string): FunctionPath {
  const path = parseFunctionPath(name);
  if ("defect" in path) throw new Error(`${name} is not a valid path to a Convex function. ${path.defect}`);
  return path;
}

function fromReference(tx: ReadTransaction, from: string, reference: string): Target {
  if (reference.startsWith(OWN)) return { component: from, path: readPath(reference.slice(OWN.length)) };
  const [child = "", ...parts] = reference.slice(CHILD.length).split("/");
  const component = from === "" ? child : `${from}/${child}`;
  const mounted =
    reference.startsWith(CHILD) && instancesOf(tx).some((one) => one.path === component && one.state === "active");
  if (!mounted) throw new Error(`Couldn't resolve ${reference}`);
  const name = parts.pop() ?? "";
  const path = readPath(`${parts.join("/")}:${name}`);
  const found = definitionAt(tx, component)?.functions[path.module]?.functions.find((fn) => fn.name === path.name);
  if (found?.visibility?.kind !== "public") throw new Error(`Couldn't resolve ${reference}`);
  return { component, path };
}

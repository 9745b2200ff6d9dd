/** What instances a push makes and what each of them exports (contract 5.2, `app` and `definition.exports`). */
import { ApiError } from "../types.ts";
import type {
  AnalyzedModuleJson,
  CheckedComponent,
  EvaluatedDefinition,
  ExportNode,
  ResourceNode,
} from "./analysis.ts";

interface Public {
  /** `dir/file.js` without `.js`, and the function's name. */
  readonly parts: readonly string[];
  readonly udfPath: string;
}

function publicFunctions(functions: Readonly<Record<string, AnalyzedModuleJson>>): Public[] {
  const all = Object.entries(functions).flatMap(([path, module]) =>
    module.functions
      .filter((fn) => fn.visibility?.kind === "public")
      .map((fn) => ({ parts: [...path.replace(/\.js$/, "").split("/"), fn.name], udfPath: `${path}:${fn.name}` })),
  );
  return all.sort((a, b) => (a.parts.join("/") < b.parts.join("/") ? -1 : 1));
}

/** `definition.exports` of a component: its public functions. */
export function exportTree(functions: Readonly<Record<string, AnalyzedModuleJson>>): ExportNode {
  const root: [string, ExportNode][] = [];
  for (const { parts, udfPath } of publicFunctions(functions)) {
    let branch = root;
    for (const part of parts.slice(0, -1)) branch = branchOf(branch, part);
    branch.push([parts.at(-1) ?? "", { type: "leaf", leaf: `_reference/function/${udfPath}` }]);
  }
  return { type: "branch", branch: root };
}

function branchOf(branch: [string, ExportNode][], name: string): [string, ExportNode][] {
  const known = branch.find(([key, node]) => key === name && node.type === "branch")?.[1];
  if (known?.type === "branch") return known.branch;
  const made: [string, ExportNode][] = [];
  branch.push([name, { type: "branch", branch: made }]);
  return made;
}

function resources(
  component: string,
  functions: Readonly<Record<string, AnalyzedModuleJson>>,
): Record<string, ResourceNode> {
  const root: Record<string, ResourceNode> = {};
  for (const { parts, udfPath } of publicFunctions(functions)) {
    let level = root;
    for (const part of parts.slice(0, -1)) {
      const node = level[part];
      const children: Record<string, ResourceNode> = node?.type === "branch" ? node.children : {};
      level[part] = { type: "branch", children };
      level = children;
    }
    level[parts.at(-1) ?? ""] = { type: "leaf", resource: { type: "function", path: { component, udfPath } } };
  }
  return root;
}

/** The instance at `componentPath` and all below it. */
export function checkedComponent(
  definitionPath: string,
  componentPath: string,
  analysis: Readonly<Record<string, EvaluatedDefinition>>,
  withEnv: boolean,
): CheckedComponent {
  const one = analysis[definitionPath];
  if (one === undefined) throw new ApiError(400, "TypecheckError", `Component definition ${definitionPath} is missing`);
  const childComponents: Record<string, CheckedComponent> = {};
  for (const child of [...one.definition.childComponents].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = componentPath === "" ? child.name : `${componentPath}/${child.name}`;
    childComponents[child.name] = checkedComponent(child.path, path, analysis, withEnv);
  }
  const routes = one.functions["http.js"]?.httpRoutes ?? null;
  return {
    definitionPath,
    componentPath,
    args: {},
    ...(withEnv ? { env: {} } : {}),
    childComponents,
    httpRoutes: {
      httpModuleRoutes: routes?.map(({ route }) => ({ method: route.method, path: route.path })) ?? null,
      mounts: Object.keys(one.definition.httpMounts).sort(),
    },
    exports: resources(componentPath, one.functions),
  };
}

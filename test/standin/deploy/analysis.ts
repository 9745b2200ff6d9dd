/** The shapes of `start_push` answers (contract 5.2). */

import type { ExportedFunction, ModuleExports } from "../runtime/protocol.ts";
import type { Provider } from "../users.ts";
import type { IndexDiff, Schema } from "./schema.ts";

export interface CronSpecJson {
  readonly identifier: string;
  readonly spec: {
    readonly udfPath: string;
    /** Bytes of the JSON text of the argument list. */
    readonly udfArgs: readonly number[];
    readonly cronSchedule: { readonly type: string; readonly [field: string]: unknown };
  };
}

export interface AnalyzedModuleJson {
  readonly functions: readonly ExportedFunction[];
  readonly httpRoutes: ModuleExports["httpRoutes"];
  readonly cronSpecs: readonly CronSpecJson[] | null;
  readonly sourceMapped: null;
}

export type ExportNode = { type: "leaf"; leaf: string } | { type: "branch"; branch: [string, ExportNode][] };

export interface ChildComponent {
  readonly type: "SerializedComponentInstantiation";
  readonly name: string;
  readonly path: string;
  readonly args: readonly unknown[];
  /** Later releases only (contract 11). */
  readonly env?: unknown;
}

/** A declared variable of convex.config: name, then the JSON text of its validator. */
export type DeclaredVariable = readonly [
  string,
  { readonly type: "value"; readonly value: string; readonly optional?: boolean },
];

export interface DefinitionJson {
  readonly path: string;
  readonly definitionType:
    | { readonly type: "app" }
    | { readonly type: "childComponent"; readonly name: string; readonly args: readonly unknown[] };
  readonly childComponents: readonly ChildComponent[];
  readonly httpMounts: Readonly<Record<string, string>>;
  readonly exports: ExportNode;
  /** Later releases only (contract 11). */
  readonly envVars?: readonly DeclaredVariable[];
}

export interface EvaluatedDefinition {
  readonly definition: DefinitionJson;
  readonly schema: Schema | null;
  readonly functions: Readonly<Record<string, AnalyzedModuleJson>>;
  readonly udfConfig: {
    readonly importPhaseRngSeed: unknown;
    readonly importPhaseUnixTimestamp: unknown;
    readonly serverVersion: string;
  };
}

export type ResourceNode =
  | {
      readonly type: "leaf";
      readonly resource: {
        readonly type: "function";
        readonly path: { readonly component: string; readonly udfPath: string };
      };
    }
  | { readonly type: "branch"; readonly children: Record<string, ResourceNode> };

export interface CheckedComponent {
  readonly definitionPath: string;
  readonly componentPath: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Later releases only (contract 11). */
  readonly env?: Readonly<Record<string, unknown>>;
  readonly childComponents: Readonly<Record<string, CheckedComponent>>;
  readonly httpRoutes: {
    readonly httpModuleRoutes: readonly { readonly method: string; readonly path: string }[] | null;
    readonly mounts: readonly string[];
  };
  readonly exports: Readonly<Record<string, ResourceNode>>;
}

export interface SchemaChange {
  readonly allocatedComponentIds: Readonly<Record<string, string>>;
  readonly schemaIds: Readonly<Record<string, string | null>>;
  readonly indexDiffs: Readonly<Record<string, IndexDiff>>;
}

export interface PackageJson {
  readonly externalPackageId: string | null;
  readonly nodeVersion: string | null;
  readonly packageSize: { readonly unzippedSizeBytes: unknown; readonly zippedSizeBytes: unknown };
  readonly sha256: unknown;
  readonly storageKey: string;
}

export interface StartPush {
  readonly environmentVariables: Readonly<Record<string, string>>;
  readonly externalDepsId: string | null;
  readonly componentDefinitionPackages: Readonly<Record<string, PackageJson>>;
  readonly appAuth: readonly Provider[];
  readonly analysis: Readonly<Record<string, EvaluatedDefinition>>;
  readonly app: CheckedComponent;
  readonly schemaChange: SchemaChange;
}

/** Every instance of a checked app, the root first, then depth first by name. */
export function instances(app: CheckedComponent): CheckedComponent[] {
  const children = Object.entries(app.childComponents).sort(([a], [b]) => (a < b ? -1 : 1));
  return [app, ...children.flatMap(([, child]) => instances(child))];
}

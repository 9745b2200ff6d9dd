/**
 * What the backend's thread and the isolate thread say to each other. Values cross as JSON text in the encoding of
 * `convexToJson` (contract 6.2, `convex_encoded_json`), because that is what the `convex` library speaks.
 */
import type { LogLevel } from "../types.ts";

export interface ModuleSource {
  /** `messages.js`, `_deps/5557YOZQ.js` */
  readonly path: string;
  readonly source: string;
  readonly sourceMap?: string;
}

/** All isolate modules of one component definition; sent to a thread once. */
export interface PackageSource {
  readonly id: string;
  readonly modules: readonly ModuleSource[];
}

/** Modules are evaluated once for a package and an environment. */
export interface GraphRef {
  readonly packageId: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What `process.env` may do while a job runs: schemas must not read it, auth configs must not miss a variable. */
export type EnvMode = "normal" | "forbidden" | "required";

export type Job =
  | {
      readonly do: "function";
      readonly graph: GraphRef;
      readonly module: string;
      readonly name: string;
      readonly kind: "Query" | "Mutation" | "Action";
      /** JSON text of the argument list. */
      readonly args: string;
    }
  | { readonly do: "http"; readonly graph: GraphRef; readonly request: HttpJob }
  /** Loads modules and says what they export. */
  | { readonly do: "analyze"; readonly graph: GraphRef; readonly modules: readonly string[] }
  /** The JSON that the default export stands for: a schema, an auth config, a convex.config. */
  | {
      readonly do: "evaluate";
      readonly graph: GraphRef;
      readonly module: string;
      readonly as: "schema" | "auth" | "definition";
      /** Names of imported definitions by definition path. */
      readonly children?: Readonly<Record<string, string>>;
    };

export interface HttpJob {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | null;
  /** Path that the router sees (a component is mounted under a prefix). */
  readonly routedPath: string;
}

/** A thrown value, ready to be shown. */
export interface JobError {
  /** `Uncaught Error: boom\n    at handler (../convex/messages.ts:9:41)\n`, without frames of the library's plumbing. */
  readonly text: string;
  /** The same with all frames: HTTP actions show them (contract 8.1). */
  readonly trace: string;
  /** `Uncaught Error: boom` */
  readonly headline: string;
  /** Frames alone, each with `\n    at ` in front. */
  readonly frames: string;
  /** Data of a ConvexError, as JSON. */
  readonly data?: unknown;
  /** Set when an auth config asked for this variable and it has no value. */
  readonly missingVariable?: string;
  /** A defect that is no exception: `Top-level awaits in source files are unsupported`. */
  readonly plain?: string;
}

export type JobResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: JobError };

export interface Position {
  readonly path: string;
  readonly start_lineno: number;
  readonly start_col: number;
}

export interface ExportedFunction {
  readonly name: string;
  readonly pos: Position;
  readonly udfType: "Query" | "Mutation" | "Action";
  readonly visibility: { readonly kind: "public" | "internal" } | null;
  readonly args: string | null;
  readonly returns: string | null;
}

/** What a module exports; `problem` is the sentence of contract 5.2 about a wrong default export. */
export interface ModuleExports {
  readonly path: string;
  readonly functions: readonly ExportedFunction[];
  readonly httpRoutes:
    | readonly { readonly route: { readonly path: string; readonly method: string }; readonly pos: Position }[]
    | null;
  /** `export()` of the Crons object. */
  readonly crons: string | null;
  readonly problem?: string;
}

/** `analyze` stops at the first module that fails. */
export type Analysis =
  | { readonly modules: readonly ModuleExports[] }
  | { readonly failed: string; readonly error: JobError; readonly phase: "load" | "validators" };

export type ToThread =
  | { readonly type: "package"; readonly source: PackageSource }
  | { readonly type: "forget"; readonly id: string }
  | { readonly type: "start"; readonly run: number; readonly job: Job }
  | { readonly type: "reply"; readonly call: number; readonly reply: CallReply };

/** `value` is the JSON text that the library parses. */
export type CallReply =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly message: string; readonly data?: unknown };

export type FromThread =
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly run: number; readonly result: JobResult }
  | {
      readonly type: "log";
      readonly run: number;
      readonly level: LogLevel;
      readonly messages: readonly string[];
      readonly at: number;
    }
  | {
      readonly type: "call";
      readonly run: number;
      readonly call: number;
      readonly op: string;
      readonly args: string;
      readonly bytes?: Uint8Array;
    }
  /** The caller sleeps until `signal[0]` is 1; the answer waits on `port`. */
  | { readonly type: "syncCall"; readonly run: number; readonly op: string; readonly args: string }
  | {
      readonly type: "httpHead";
      readonly run: number;
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
    }
  | { readonly type: "httpChunk"; readonly run: number; readonly bytes: Uint8Array };

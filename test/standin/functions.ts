/**
 * Running functions, whoever asks (contract 6): look-up, visibility, pause, transaction, log entries, and the system
 * queries. The code itself is run by a FunctionRunner.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { pathText } from "./function-path.ts";
import { isAdmin, isReadOnly, readOnlyRefusal } from "./identity.ts";
import type { FunctionLogs } from "./logs.ts";
import type { PauseState } from "./pause.ts";
import {
  type AnalyzedFunction,
  type FunctionCall,
  FunctionError,
  type FunctionKind,
  type FunctionRunner,
  type Functions,
  type Identity,
  internalError,
  type LogLine,
  type Outcome,
  type ReadTransaction,
  type RunRequest,
  type RunResult,
  type Store,
  type Value,
} from "./types.ts";
import { display, encode, isFields } from "./values.ts";

const HINT = "Did you forget to run `npx convex dev` or `npx convex deploy`?";
const PAUSED =
  "Cannot run functions while this deployment is paused. Resume the deployment in the dashboard settings to allow functions to run.";

/** What the service needs of the backend; `runner` comes when the deploy part is attached. */
export interface FunctionDeps {
  readonly store: Store;
  readonly logs: FunctionLogs;
  readonly pause: PauseState;
  readonly runner: () => FunctionRunner;
}

export const newRequestId = () => randomBytes(8).toString("hex");

export class FunctionService implements Functions {
  #deps: FunctionDeps;

  constructor(deps: FunctionDeps) {
    this.#deps = deps;
  }

  async run(request: RunRequest): Promise<RunResult> {
    const requestId = request.requestId ?? newRequestId();
    const started = nowMs();
    const executionId = randomUUID();
    const { kind, ...outcome } = await this.#outcome(request, requestId, executionId);
    this.#log(request, { kind, requestId, executionId, started, outcome });
    return { ...outcome, requestId };
  }

  async #outcome(request: RunRequest, requestId: string, executionId: string): Promise<Done> {
    refuseReadOnly(request.identity, request.kind);
    const tx = request.snapshot ?? this.#deps.store.beginRead();
    let kind: FunctionKind = request.kind === "Any" ? "Query" : request.kind;
    try {
      if (isExternal(request) && this.#deps.pause.isPaused(tx)) throw new FunctionError(PAUSED);
      const found = this.#find(tx, request);
      kind = found.kind;
      refuseReadOnly(request.identity, kind);
      const { component, path, identity, caller } = request;
      const call = { component, path, identity, caller, requestId, executionId, args: singleArgument(request.args) };
      return { kind, ...(await this.#execute(kind, call, tx, request.withCommit)) };
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      return { kind, status: "error", error, logLines: [], ts: tx.ts, reads: tx.reads };
    }
  }

  #find(tx: ReadTransaction, { component, path, identity, kind, visibility }: RunRequest): AnalyzedFunction {
    const modules = this.#deps.runner().modules(tx, component);
    if (modules === undefined) throw internalError();
    const found = modules.find((m) => m.path === path.module)?.functions.find((f) => f.name === path.name);
    const visible = visibility === "all" || isAdmin(identity) || found?.visibility === "public";
    if (found === undefined || !visible) {
      const where = component === "" ? "" : ` in '${component}'`;
      const what = visibility === "public" && kind !== "Any" ? "public function" : "function";
      throw new FunctionError(`Could not find ${what} for '${pathText(path)}'${where}. ${HINT}`);
    }
    if (kind !== "Any" && kind !== found.kind) {
      const defined = `but it is defined as ${found.kind}.`;
      throw new FunctionError(`Trying to execute ${path.module}:${path.name} as ${kind}, ${defined}`);
    }
    return found;
  }

  async #execute(
    kind: FunctionKind,
    call: FunctionCall,
    snapshot: ReadTransaction,
    withCommit?: RunRequest["withCommit"],
  ): Promise<Outcome & After> {
    const runner = this.#deps.runner();
    if (kind === "Query") {
      // Before the call: code loading may await, and a query must not see less than what its caller has seen.
      const outcome = await runner.query(call, snapshot);
      return { ...outcome, ts: snapshot.ts, reads: snapshot.reads };
    }
    if (kind === "Action") {
      const started = nowMs();
      const onLog = (line: LogLine) => this.#deps.logs.add(progressEntry(call, line, started));
      const outcome = await runner.action({ ...call, onLog });
      return { ...outcome, ts: this.#deps.store.lastCommit, reads: new Set<string>() };
    }
    const tx = await this.#deps.store.beginWrite();
    try {
      const outcome = await runner.mutation(call, tx);
      if (outcome.status === "success") withCommit?.(tx);
      const ts = outcome.status === "success" ? tx.commit() : tx.ts;
      return { ...outcome, ts, reads: tx.reads };
    } finally {
      tx.abort();
    }
  }

  #log(
    request: RunRequest,
    done: { kind: FunctionKind; requestId: string; executionId: string; started: number; outcome: Outcome },
  ): void {
    const { kind, requestId, executionId, started, outcome } = done;
    const now = nowMs();
    const value = outcome.status === "success" ? encode(outcome.value, "json") : undefined;
    this.#deps.logs.add({
      kind: "Completion",
      udfType: kind,
      componentPath: request.component === "" ? null : request.component,
      identifier: pathText(request.path),
      logLines: kind === "Action" ? [] : outcome.logLines,
      timestamp: now / 1000,
      cachedResult: false,
      caller: request.caller,
      parentExecutionId: request.parentExecutionId ?? null,
      executionTime: (now - started) / 1000,
      success: null,
      error: outcome.status === "error" ? `${outcome.error.message}\n` : null,
      requestId,
      executionId,
      usageStats: NO_USAGE,
      returnBytes: value === undefined ? null : Buffer.byteLength(value),
      occInfo: null,
      executionTimestamp: started / 1000,
      identityType: identityType(request.identity),
      environment: "isolate",
    });
  }
}

interface After {
  readonly ts: bigint;
  readonly reads: ReadonlySet<string>;
}
type Done = Outcome & After & { readonly kind: FunctionKind };

export const NO_USAGE = {
  databaseReadBytes: 0,
  databaseWriteBytes: 0,
  databaseReadDocuments: 0,
  storageReadBytes: 0,
  storageWriteBytes: 0,
  vectorIndexReadBytes: 0,
  vectorIndexWriteBytes: 0,
  memoryUsedMb: 64,
};

export const nowMs = () => performance.timeOrigin + performance.now();

/** As log entries name it. */
export function identityType(identity: Identity): string {
  if (identity.kind === "admin") return "instance_admin";
  if (identity.kind === "system") return "system";
  if (identity.kind === "acting") return "member_acting_as_user";
  return identity.kind === "user" ? "user" : "unknown";
}

function progressEntry(call: FunctionCall, line: LogLine, started: number) {
  return {
    kind: "Progress",
    udfType: "Action",
    componentPath: call.component === "" ? null : call.component,
    identifier: pathText(call.path),
    timestamp: started / 1000,
    logLines: [line],
    requestId: call.requestId,
    executionId: call.executionId,
  };
}

/** Calls from outside stop with a pause; what already runs goes on. */
const isExternal = ({ caller }: RunRequest) => caller !== "Action" && caller !== "HttpEndpoint";

function refuseReadOnly(identity: Identity, kind: FunctionKind | "Any"): void {
  if (!isReadOnly(identity) || (kind !== "Mutation" && kind !== "Action")) return;
  throw readOnlyRefusal(identity, kind);
}

/** An object, or an array of exactly one. */
function singleArgument(args: Value): Value {
  if (Array.isArray(args)) {
    const [only] = args;
    if (args.length !== 1 || only === undefined) {
      const received = `Instead received ${args.length} arguments: ${display(args)}`;
      throw argumentError(`Expected to receive a single object as the function's argument. ${received}`);
    }
    return checkObject(only);
  }
  return checkObject(args);
}

function checkObject(value: Value): Value {
  if (isFields(value)) return value;
  const received = `Instead received: ${display(value)}`;
  throw argumentError(`Expected to receive an object as the function's argument. ${received}`);
}

const argumentError = (text: string) => new FunctionError(`ArgumentValidationError: ${text}\n`);

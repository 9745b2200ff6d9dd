/** Runs deployed functions: validators, threads, transactions, errors (contract 6.2). */
import { randomBytes } from "node:crypto";
import { makePackage, type Package, type Packages } from "../deploy/code.ts";
import {
  analyzedModules,
  componentExists,
  type DeployedDefinition,
  definitionAt,
  externalPackages,
} from "../deploy/deployed.ts";
import {
  type AnalyzedFunction,
  type AnalyzedModule,
  ApiError,
  type FunctionCall,
  FunctionError,
  type FunctionRunner,
  internalError,
  type LogLine,
  type Outcome,
  type ReadTransaction,
  type WriteTransaction,
} from "../types.ts";
import { encode, fromJson } from "../values.ts";
import { ActionSlots } from "./action-slots.ts";
import type { Isolate, IsolatePool, JobHandlers } from "./isolate.ts";
import type { ExternalPackage, NodeExecutor } from "./node-executor.ts";
import { argsText, argumentProblem, dataOf, failed, outcome } from "./outcomes.ts";
import type { Analysis, GraphRef, JobResult } from "./protocol.ts";
import type { SyscallContext, SyscallDeps } from "./syscall-context.ts";
import { identityText, Syscalls } from "./syscalls.ts";

/** Own time of a query or mutation, without the waits for the database. */
const TRANSACTION_LIMIT_MS = 1000;

export interface RunnerDeps extends Omit<SyscallDeps, "nested"> {
  readonly pool: IsolatePool;
  readonly node: NodeExecutor;
  readonly packages: Packages;
  readonly variables: (tx: ReadTransaction) => Map<string, string>;
}

interface Found {
  readonly deployed: DeployedDefinition;
  readonly fn: AnalyzedFunction;
  readonly environment: "isolate" | "node";
}

export class Runner implements FunctionRunner {
  readonly #deps: RunnerDeps;
  readonly #syscalls: Syscalls;
  readonly slots = new ActionSlots();
  /** Node actions under way, by the token their callbacks carry. */
  readonly #callbacks = new Map<string, SyscallContext>();

  constructor(deps: RunnerDeps) {
    this.#deps = deps;
    this.#syscalls = new Syscalls({
      ...deps,
      nested: (call, kind, tx, isolate) => this.#nested(call, kind, tx, isolate),
    });
  }

  modules(tx: ReadTransaction, component: string): readonly AnalyzedModule[] | undefined {
    const deployed = definitionAt(tx, component);
    if (deployed !== undefined) return analyzedModules(deployed);
    return componentExists(tx, component) ? [] : undefined;
  }

  query(call: FunctionCall, tx: ReadTransaction): Promise<Outcome> {
    return this.#deps.pool.exclusive((isolate) => this.#transaction(call, "Query", tx, isolate));
  }

  mutation(call: FunctionCall, tx: WriteTransaction): Promise<Outcome> {
    return this.#deps.pool.exclusive((isolate) => this.#transaction(call, "Mutation", tx, isolate));
  }

  async action(call: FunctionCall): Promise<Outcome> {
    const run = () => this.#action(call);
    return call.caller === "Action" ? run() : this.slots.take(run);
  }

  async testQuery(bundle: { path: string; source: string }, call: FunctionCall, tx: ReadTransaction): Promise<Outcome> {
    const code = makePackage([{ path: "testQuery.js", source: bundle.source, environment: "isolate" }]);
    return this.#deps.pool.exclusive(async (isolate) => {
      const graph = { packageId: code.isolate.id, env: Object.fromEntries(this.#deps.variables(tx)) };
      const loaded = await isolate.run(
        { do: "analyze", graph, modules: ["testQuery.js"] },
        [code.isolate],
        {},
        TRANSACTION_LIMIT_MS,
      );
      if (!loaded.ok) throw testError(loaded.error.text);
      const analysis = loaded.value as Analysis;
      if ("failed" in analysis)
        throw testError(`Failed to analyze testQuery.js: ${analysis.error.plain ?? analysis.error.text}`);
      const context: SyscallContext = { call, kind: "Query", tx, streams: new Map() };
      const logLines: LogLine[] = [];
      const job = {
        do: "function",
        graph,
        module: "testQuery.js",
        name: "default",
        kind: "Query",
        args: argsText(call.args),
      } as const;
      const result = await isolate.run(job, [code.isolate], this.#handlers(context, logLines), TRANSACTION_LIMIT_MS);
      // An inline query has no source that a position could name.
      if (!result.ok)
        return failed(new FunctionError(result.error.plain ?? result.error.headline, dataOf(result.error)), logLines);
      return { status: "success", value: fromJson(JSON.parse(String(result.value))), logLines };
    });
  }

  /** For the callback route: what a Node action asks (contract 8.3). */
  callback(token: string, op: string, args: string): Promise<string> {
    const context = this.#callbacks.get(token);
    if (context === undefined)
      return Promise.reject(new ApiError(401, "InvalidActionCallbackToken", "Invalid action callback token"));
    return this.#syscalls.handle(op, args, context);
  }

  /** For HTTP actions. */
  contextFor(call: FunctionCall): SyscallContext {
    return { call, kind: "Action", streams: new Map() };
  }

  handlersFor(context: SyscallContext, logLines: LogLine[]): JobHandlers {
    return this.#handlers(context, logLines);
  }

  async graphOf(tx: ReadTransaction, deployed: DeployedDefinition): Promise<{ code: Package; graph: GraphRef }> {
    const code = await this.#deps.packages.get(deployed.storageKey);
    const env = deployed.path === "" ? Object.fromEntries(this.#deps.variables(tx)) : {};
    return { code, graph: { packageId: code.isolate.id, env } };
  }

  // ---- queries and mutations

  async #transaction(
    call: FunctionCall,
    kind: "Query" | "Mutation",
    tx: ReadTransaction,
    isolate: Isolate,
  ): Promise<Outcome> {
    const found = this.#find(tx, call);
    const logLines: LogLine[] = [];
    const problem = argumentProblem(tx, call, found.fn);
    if (problem !== undefined) return failed(problem, logLines);
    const { code, graph } = await this.graphOf(tx, found.deployed);
    const context: SyscallContext = { call, kind, tx, streams: new Map() };
    const job = {
      do: "function",
      graph,
      module: call.path.module,
      name: call.path.name,
      kind,
      args: argsText(call.args),
    } as const;
    const result = await isolate.run(job, [code.isolate], this.#handlers(context, logLines), TRANSACTION_LIMIT_MS);
    return outcome(result, tx, call, found.fn, logLines);
  }

  /** JSON text of the value; throws the FunctionError. Writes of a failed mutation are taken back. */
  async #nested(
    call: FunctionCall,
    kind: "Query" | "Mutation",
    tx: ReadTransaction,
    isolate: Isolate,
  ): Promise<string> {
    this.#checkTarget(tx, call, kind);
    const writer = kind === "Mutation" ? (tx as WriteTransaction) : undefined;
    const savepoint = writer?.savepoint();
    const result = await this.#transaction(call, kind, tx, isolate);
    if (result.status === "success") return encode(result.value, "convex_encoded_json");
    if (writer !== undefined && savepoint !== undefined) writer.rollback(savepoint);
    throw result.error;
  }

  #checkTarget(tx: ReadTransaction, call: FunctionCall, kind: "Query" | "Mutation"): void {
    const { module, name } = call.path;
    const found = definitionAt(tx, call.component)?.functions[module]?.functions.find((fn) => fn.name === name);
    if (found === undefined) {
      const hint = "Did you forget to run `npx convex dev` or `npx convex deploy`?";
      throw new Error(`Could not find function for '${module.replace(/\.js$/, "")}:${name}'. ${hint}`);
    }
    if (found.udfType !== kind)
      throw new Error(`Trying to execute ${module}:${name} as ${kind}, but it is defined as ${found.udfType}.`);
  }

  #find(tx: ReadTransaction, call: FunctionCall): Found {
    const deployed = definitionAt(tx, call.component);
    const module =
      deployed === undefined ? undefined : analyzedModules(deployed).find((one) => one.path === call.path.module);
    const fn = module?.functions.find((one) => one.name === call.path.name);
    if (deployed === undefined || module === undefined || fn === undefined) throw internalError();
    return { deployed, fn, environment: module.environment };
  }

  #handlers(context: SyscallContext, logLines: LogLine[]): JobHandlers {
    return {
      onLog: (line) => {
        logLines.push(line);
        context.call.onLog?.(line);
      },
      onCall: (op, args, bytes, isolate) => this.#syscalls.handle(op, args, context, bytes, isolate),
      onSyncCall: (op, args) => this.#syscalls.handleSync(op, args, context),
    };
  }

  // ---- actions

  async #action(call: FunctionCall): Promise<Outcome> {
    const tx = this.#deps.store.beginRead();
    const found = this.#find(tx, call);
    const logLines: LogLine[] = [];
    const problem = argumentProblem(tx, call, found.fn);
    if (problem !== undefined) return failed(problem, logLines);
    const { code, graph } = await this.graphOf(tx, found.deployed);
    const context = this.contextFor(call);
    const result =
      found.environment === "node"
        ? await this.#nodeAction(
            call,
            { code, graph, externals: externalPackages(tx, found.deployed.externals) },
            context,
            logLines,
          )
        : await this.#deps.pool.shared().run(
            {
              do: "function",
              graph,
              module: call.path.module,
              name: call.path.name,
              kind: "Action",
              args: argsText(call.args),
            },
            [code.isolate],
            this.#handlers(context, logLines),
          );
    return outcome(result, tx, call, found.fn, logLines);
  }

  async #nodeAction(
    call: FunctionCall,
    { code, graph, externals }: { code: Package; graph: GraphRef; externals: readonly ExternalPackage[] },
    context: SyscallContext,
    logLines: LogLine[],
  ): Promise<JobResult> {
    const token = randomBytes(16).toString("hex");
    this.#callbacks.set(token, context);
    const { onLog = () => {} } = this.#handlers(context, logLines);
    try {
      const { module, name } = call.path;
      const folder = await this.#deps.node.install(externals);
      return await this.#deps.node.run({
        folder,
        code,
        module,
        name,
        args: argsText(call.args),
        env: graph.env,
        token,
        identity: nodeIdentity(call),
        onLog,
      });
    } finally {
      this.#callbacks.delete(token);
    }
  }
}

function nodeIdentity(call: FunctionCall): { user: unknown } | { error: string } {
  if (call.identity.kind === "invalid") return { error: call.identity.message };
  return { user: JSON.parse(identityText(call.identity)) };
}

function testError(text: string): ApiError {
  return new ApiError(400, "InvalidModules", `Could not analyze the given module:\n${text}`);
}

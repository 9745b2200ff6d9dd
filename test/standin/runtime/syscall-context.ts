/** What the calls of functions stand on (`Convex.asyncSyscall(op, json)` of the `convex` library). */
import type { Cursors } from "../cursors.ts";
import type { Files } from "../files.ts";
import {
  ApiError,
  type Document,
  type FunctionCall,
  FunctionError,
  type Functions,
  type ReadTransaction,
  type Scheduler,
  type Store,
  type WriteTransaction,
} from "../types.ts";
import { encode, fromJson } from "../values.ts";
import { CallError, type Isolate } from "./isolate.ts";
import { type Address, resolveAddress } from "./references.ts";

export interface SyscallDeps {
  readonly store: Store;
  readonly files: Files;
  readonly scheduler: Scheduler;
  readonly cursors: Cursors;
  readonly functions: Functions;
  /** Runs a function inside the caller's transaction, in the caller's thread. */
  readonly nested: (
    call: FunctionCall,
    kind: "Query" | "Mutation",
    tx: ReadTransaction,
    isolate: Isolate,
  ) => Promise<string>;
}

/** One running function. */
export interface SyscallContext {
  readonly call: FunctionCall;
  readonly kind: "Query" | "Mutation" | "Action";
  /** Of queries and mutations. */
  readonly tx?: ReadTransaction;
  /** Results of database queries under way. */
  readonly streams: Map<number, Document[]>;
}

/** Arguments of a call, as parsed from JSON. */
export type Args = Readonly<Record<string, unknown>>;

/** JSON text of a value, as the library reads it. */
export function text(value: Parameters<typeof encode>[0]): string {
  return encode(value, "convex_encoded_json");
}

export function unknownOperation(op: string): CallError {
  return new CallError(`Unknown async operation ${op}`);
}

/** Within a mutation, or in a transaction of its own for an action; the job's id. */
export function scheduleJob(deps: SyscallDeps, tx: WriteTransaction, args: Args, call: FunctionCall): string {
  const target = resolveAddress(tx, call.component, args as Address);
  return deps.scheduler.schedule(tx, { ...target, args: fromJson(args["args"]), at: Number(args["ts"]) * 1000 });
}

/** A function's error becomes the message of an Error in its caller; its last newline belongs to it. */
export function asCallError(error: unknown): unknown {
  if (error instanceof FunctionError) {
    const own = error.message.startsWith("Uncaught Error: storage id ");
    const message = own ? error.message.slice("Uncaught Error: ".length) : `${error.message}\n`;
    return new CallError(message, error.data === undefined ? undefined : JSON.parse(text(error.data)));
  }
  if (error instanceof ApiError) return new CallError(error.message);
  return error;
}

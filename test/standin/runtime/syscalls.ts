/** What functions ask of the backend: `Convex.asyncSyscall(op, json)` of the `convex` library. */
import { decodeId } from "../ids.ts";
import type { Document, Fields, Identity } from "../types.ts";
import { ActionSyscalls } from "./action-syscalls.ts";
import { CallError, type Isolate } from "./isolate.ts";
import { ReadSyscalls } from "./read-syscalls.ts";
import { type Address, handleOf, resolveAddress } from "./references.ts";
import {
  type Args,
  asCallError,
  type SyscallContext,
  type SyscallDeps,
  text,
  unknownOperation,
} from "./syscall-context.ts";
import { WriteSyscalls } from "./write-syscalls.ts";

/** What `ctx.auth.getUserIdentity()` gives, as JSON text; throws for bad credentials of an HTTP action (contract 8.1). */
export function identityText(identity: Identity): string {
  if (identity.kind === "invalid") throw new CallError(identity.message);
  return identity.kind === "user" || identity.kind === "acting" ? text(identity.user) : "null";
}

export class Syscalls {
  readonly #deps: SyscallDeps;
  readonly #reads: ReadSyscalls;
  readonly #writes: WriteSyscalls;
  readonly #actions: ActionSyscalls;

  constructor(deps: SyscallDeps) {
    this.#deps = deps;
    this.#reads = new ReadSyscalls(deps);
    this.#writes = new WriteSyscalls(deps);
    this.#actions = new ActionSyscalls(deps);
  }

  /** JSON text of the answer; throws what the function sees as an Error. */
  async handle(
    op: string,
    json: string,
    context: SyscallContext,
    bytes?: Uint8Array,
    isolate?: Isolate,
  ): Promise<string> {
    const args = JSON.parse(json) as Args;
    try {
      const shared = await this.#shared(op, args, context);
      if (shared !== undefined) return shared;
      if (context.kind === "Action") return await this.#actions.handle(op, args, context, bytes);
      const read = await this.#reads.handle(op, args, context, isolate);
      if (read !== undefined) return read;
      if (context.kind === "Mutation") return this.#writes.handle(op, args, context);
      throw unknownOperation(op);
    } catch (error) {
      throw asCallError(error);
    }
  }

  handleSync(op: string, json: string, { tx, call }: SyscallContext): string {
    const args = JSON.parse(json) as { table: string; idString: string };
    if (op === "1.0/getSnapshotTs") return text(tx?.ts ?? 0n);
    if (op !== "1.0/db/normalizeId" || tx === undefined) throw new CallError(`Unknown operation ${op}`);
    const table = tx.table(call.component, args.table);
    const id = decodeId(args.idString);
    return JSON.stringify({ id: table !== undefined && id?.table === table.number ? args.idString : null });
  }

  /** The same for every kind of function. */
  async #shared(op: string, args: Args, { call, tx }: SyscallContext): Promise<string | undefined> {
    const { files, store } = this.#deps;
    const read = tx ?? store.beginRead();
    switch (op) {
      case "1.0/getUserIdentity":
        return identityText(call.identity);
      case "1.0/createFunctionHandle":
        return JSON.stringify(handleOf(resolveAddress(read, call.component, args as Address)));
      case "1.0/storageGetUrl":
        return JSON.stringify(files.url(read, call.component, String(args["storageId"])));
      case "1.0/storageGetMetadata": {
        const found = files.metadata(read, call.component, String(args["storageId"]));
        return found === null ? "null" : text(metadata(found));
      }
      case "1.0/storageGenerateUploadUrl":
        return JSON.stringify(files.uploadUrl(read, call.component));
      case "1.0/getFunctionMetadata":
        return JSON.stringify({
          name: `${call.path.module.replace(/\.js$/, "")}:${call.path.name}`,
          componentPath: call.component,
        });
      default:
        return undefined;
    }
  }
}

function metadata(document: Document): Fields {
  const { _id, _creationTime, sha256, size, contentType } = document;
  return { storageId: _id, sha256: sha256 ?? null, size: size ?? null, contentType: contentType ?? null };
}

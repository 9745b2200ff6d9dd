/** What actions do: run functions in transactions of their own, schedule, store files. */
import type { FunctionCall, Identity } from "../types.ts";
import { fromJson } from "../values.ts";
import { type Address, resolveAddress } from "./references.ts";
import {
  type Args,
  type SyscallContext,
  type SyscallDeps,
  scheduleJob,
  text,
  unknownOperation,
} from "./syscall-context.ts";
import { type VectorQuery, vectorSearch } from "./vector-search.ts";

export class ActionSyscalls {
  readonly #deps: SyscallDeps;

  constructor(deps: SyscallDeps) {
    this.#deps = deps;
  }

  async handle(op: string, args: Args, { call }: SyscallContext, bytes: Uint8Array | undefined): Promise<string> {
    const { files, store, scheduler } = this.#deps;
    switch (op) {
      case "1.0/actions/query":
        return this.#runFunction("Query", args, call);
      case "1.0/actions/mutation":
        return this.#runFunction("Mutation", args, call);
      case "1.0/actions/action":
        return this.#runFunction("Action", args, call);
      case "1.0/actions/schedule":
        return JSON.stringify(await store.write((tx) => scheduleJob(this.#deps, tx, args, call)));
      case "1.0/actions/cancel_job":
        await store.write((tx) => scheduler.cancel(tx, call.component, String(args["id"])));
        return "null";
      case "1.0/actions/vectorSearch":
        return vectorSearch(store.beginRead(), call.component, args["query"] as VectorQuery);
      case "1.0/storageDelete":
        await store.write((tx) => files.remove(tx, call.component, String(args["storageId"])));
        return "null";
      case "storage/storeBlob": {
        const { contentType, sha256 } = args as { contentType: string | null; sha256: string | null };
        return JSON.stringify(
          await files.store(call.component, bytes ?? new Uint8Array(), contentType, sha256 ?? undefined),
        );
      }
      case "storage/getBlob": {
        const found = await files.read(call.component, String(args["storageId"]));
        return JSON.stringify(
          found === null ? null : { bytes: found.bytes.toString("base64"), contentType: found.contentType },
        );
      }
      default:
        throw unknownOperation(op);
    }
  }

  async #runFunction(kind: "Query" | "Mutation" | "Action", args: Args, call: FunctionCall): Promise<string> {
    const target = resolveAddress(this.#deps.store.beginRead(), call.component, args as Address);
    const identity: Identity = target.component === call.component ? call.identity : { kind: "none" };
    const { requestId, executionId } = call;
    const request = {
      ...target,
      kind,
      args: fromJson(args["args"]),
      identity,
      requestId,
      parentExecutionId: executionId,
    };
    const result = await this.#deps.functions.run({ ...request, caller: "Action", visibility: "all" });
    if (result.status === "error") throw result.error;
    return text(result.value);
  }
}

/** What mutations write. */
import { decodeId } from "../ids.ts";
import type { Document, Fields, WriteTransaction } from "../types.ts";
import { fromJson, isFields } from "../values.ts";
import { CallError } from "./isolate.ts";
import {
  type Args,
  type SyscallContext,
  type SyscallDeps,
  scheduleJob,
  text,
  unknownOperation,
} from "./syscall-context.ts";

export class WriteSyscalls {
  readonly #deps: SyscallDeps;

  constructor(deps: SyscallDeps) {
    this.#deps = deps;
  }

  /** `context.tx` is the mutation's transaction. */
  handle(op: string, args: Args, { call, tx: read }: SyscallContext): string {
    const tx = read as WriteTransaction;
    const { component } = call;
    switch (op) {
      case "1.0/insert":
        return JSON.stringify({ _id: tx.insert(component, String(args["table"]), fields(args["value"])) });
      case "1.0/shallowMerge": {
        const before = this.#existing(tx, component, args, "patch");
        const next = merged(before, args["value"] as Args);
        tx.replace(component, before._id, next);
        return text({ ...next, _id: before._id, _creationTime: before._creationTime });
      }
      case "1.0/replace": {
        const before = this.#existing(tx, component, args, "replace");
        const next = plain(fields(args["value"]));
        tx.replace(component, before._id, next);
        return text({ ...next, _id: before._id, _creationTime: before._creationTime });
      }
      case "1.0/remove": {
        const before = this.#existing(tx, component, args, "delete");
        tx.delete(component, before._id);
        return text(before);
      }
      case "1.0/storageDelete":
        this.#deps.files.remove(tx, component, String(args["storageId"]));
        return "null";
      case "1.0/schedule":
        return JSON.stringify(scheduleJob(this.#deps, tx, args, call));
      case "1.0/cancel_job":
        this.#deps.scheduler.cancel(tx, component, String(args["id"]));
        return "null";
      default:
        throw unknownOperation(op);
    }
  }

  #existing(tx: WriteTransaction, component: string, args: Args, method: string): Document {
    const id = String(args["id"]);
    const table = tx.tableOfId(component, id);
    if (decodeId(id) === undefined)
      throw new CallError(
        `Invalid argument \`id\` for \`db.${method}\`: Unable to decode ID: Invalid ID length ${id.length}`,
      );
    if (table?.name.startsWith("_")) throw new CallError("System tables (prefixed with `_`) are read-only.");
    const document = tx.get(component, id);
    if (document !== null) return document;
    throw new CallError(
      method === "delete" ? `Delete on nonexistent document ID ${id}` : `Update on nonexistent document ID ${id}`,
    );
  }
}

function fields(json: unknown): Fields {
  const value = fromJson(json);
  if (!isFields(value)) throw new CallError("Value is not a Convex object.");
  return value;
}

function plain(document: Fields): Fields {
  const { _id, _creationTime, ...rest } = document;
  return rest;
}

/** `{"$undefined": null}` takes a field away. */
function merged(before: Document, changes: Args): Fields {
  const next = plain(before);
  for (const [name, json] of Object.entries(changes)) {
    if (name === "_id" || name === "_creationTime") continue;
    if (typeof json === "object" && json !== null && "$undefined" in json) delete next[name];
    else next[name] = fromJson(json);
  }
  return next;
}

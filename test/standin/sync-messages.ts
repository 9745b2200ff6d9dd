/** What clients of the sync websocket send (contract 6.1), read and checked. */
import { parseFunctionPath } from "./function-path.ts";
import { JsonSyntaxError, parseJson } from "./json.ts";
import type { FunctionPath } from "./types.ts";

/** Ends the connection: `FatalError` with this text. */
export class MessageError extends Error {}

export interface QueryRequest {
  readonly path: FunctionPath;
  readonly component: string;
  /** As sent. */
  readonly args: unknown;
}

export type QueryModification =
  | { readonly type: "Add"; readonly queryId: number; readonly query: QueryRequest }
  | { readonly type: "Remove"; readonly queryId: number };

export type ClientMessage =
  | { readonly type: "Connect"; readonly clientTs: number | undefined }
  | { readonly type: "Authenticate"; readonly tokenType: string; readonly value: string; readonly baseVersion: number }
  | {
      readonly type: "ModifyQuerySet";
      readonly baseVersion: number;
      readonly newVersion: number;
      readonly modifications: readonly QueryModification[];
    }
  | { readonly type: "Mutation" | "Action"; readonly requestId: number; readonly query: QueryRequest }
  | { readonly type: "Event" };

const TYPES = ["Connect", "ModifyQuerySet", "Mutation", "Action", "Authenticate", "Event"];

const invalid = (cause: string) => new MessageError(`Received Invalid JSON on websocket: ${cause}`);

export function readMessage(text: string): ClientMessage {
  const message = object(parse(text));
  const { type } = message;
  switch (type) {
    case "Connect":
      return { type, clientTs: typeof message["clientTs"] === "number" ? message["clientTs"] : undefined };
    case "Authenticate":
      return {
        type,
        tokenType: string(message, "tokenType"),
        value: message["tokenType"] === "None" ? "" : string(message, "value"),
        baseVersion: number(message, "baseVersion"),
      };
    case "ModifyQuerySet":
      return {
        type,
        baseVersion: number(message, "baseVersion"),
        newVersion: number(message, "newVersion"),
        modifications: list(message, "modifications").map(modification),
      };
    case "Mutation":
    case "Action":
      return { type, requestId: number(message, "requestId"), query: query(message) };
    case "Event":
      return { type };
    default:
      throw invalid(`unknown variant \`${String(type)}\`, expected one of ${TYPES.map((t) => `\`${t}\``).join(", ")}`);
  }
}

function parse(text: string): unknown {
  try {
    return parseJson(text).value;
  } catch (error) {
    throw error instanceof JsonSyntaxError ? invalid(error.message) : error;
  }
}

function modification(item: unknown): QueryModification {
  const fields = object(item);
  const queryId = number(fields, "queryId");
  if (fields["type"] === "Remove") return { type: "Remove", queryId };
  if (fields["type"] === "Add") return { type: "Add", queryId, query: query(fields) };
  throw invalid(`unknown variant \`${String(fields["type"])}\`, expected \`Add\` or \`Remove\``);
}

function query(fields: Record<string, unknown>): QueryRequest {
  const path = parseFunctionPath(string(fields, "udfPath"));
  if ("defect" in path) throw invalid(path.defect);
  const component = fields["componentPath"];
  if (!("args" in fields)) throw invalid("missing field `args`");
  return { path, component: typeof component === "string" ? component : "", args: fields["args"] };
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid("invalid type, expected a map");
}

function field(fields: Record<string, unknown>, key: string, type: "string" | "number"): unknown {
  const value = fields[key];
  if (value === undefined) throw invalid(`missing field \`${key}\``);
  if (typeof value !== type) throw invalid(`${key}: invalid type, expected a ${type}`);
  return value;
}

const string = (fields: Record<string, unknown>, key: string) => String(field(fields, key, "string"));
const number = (fields: Record<string, unknown>, key: string) => Number(field(fields, key, "number"));

function list(fields: Record<string, unknown>, key: string): unknown[] {
  const value = fields[key];
  if (!Array.isArray(value)) throw invalid(`missing field \`${key}\``);
  return value;
}

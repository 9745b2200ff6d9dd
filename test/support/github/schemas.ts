import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { root } from "../job.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

interface Body {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface Operation {
  readonly requestBody?: Body & { readonly required?: boolean };
  readonly responses: Readonly<Record<string, Body & { readonly $ref?: string }>>;
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses?: Readonly<Record<string, Body>>;
  };
}

const read = (name: string): Description =>
  JSON.parse(readFileSync(join(root, "test/fixtures/github", name), "utf8")) as Description;
const [theirs, own] = [read("api-schemas.json"), read("own-schemas.json")];
const paths = { ...theirs.paths, ...own.paths };
const schemas = { ...theirs.components.schemas, ...own.components.schemas };

const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
ajv.addFormat("uri", (text) => URL.canParse(text));
ajv.addFormat("date-time", (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text));
for (const name of ["int64", "timestamp", "email", "repo.nwo", "repository-path", "ssh-key"]) ajv.addFormat(name, true);
for (const [name, schema] of Object.entries(schemas)) ajv.addSchema(flat(schema), name);

/** With references by the names under which the schemas are known here. */
function flat(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll("#/components/schemas/", "")) as Schema;
}

const compiled = new Map<Schema, ValidateFunction>();

/** What of a value does not fit; empty when it does. */
function misfits(schema: Schema, value: unknown): string[] {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    validate = ajv.compile(flat(schema));
    compiled.set(schema, validate);
  }
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || "body"} ${message}`);
}

const json = (body: Body | undefined): Schema | undefined => body?.content?.["application/json"]?.schema;

/** What of a request's body GitHub would refuse. */
export function requestMisfits(method: string, path: string, body: unknown): string[] {
  const described = paths[path]?.[method.toLowerCase()]?.requestBody;
  const schema = json(described);
  if (schema === undefined) return body === undefined ? [] : ["no body is described"];
  if (body === undefined) return described?.required === true ? ["body is missing"] : [];
  return misfits(schema, body);
}

/** What of an answer GitHub would never say; such a double would prove nothing. */
export function responseMisfits(method: string, path: string, status: number, body: unknown): string[] {
  const operation = paths[path]?.[method.toLowerCase()];
  if (operation === undefined) return [`${method} ${path} is not described`];
  const described = operation.responses[status];
  const shared = theirs.components.responses?.[described?.$ref?.split("/").at(-1) ?? ""];
  const schema = json(shared ?? described);
  // Not every operation lists the errors that all have.
  if (described === undefined && status >= 400) return misfits({ $ref: "basic-error" }, body);
  if (described === undefined) return [`${method} ${path} never answers ${status}`];
  if (schema === undefined) return body === undefined || status >= 400 ? [] : [`${status} has no body`];
  return misfits(schema, body);
}

export function isDescribed(method: string, path: string): boolean {
  return paths[path]?.[method.toLowerCase()] !== undefined;
}

function sample({ type, format, nullable, ...schema }: Schema): unknown {
  if (nullable === true) return null;
  if (schema.enum !== undefined) return schema.enum[0];
  switch (type) {
    case "string":
      if (format === "uri") return "https://api.github.com/x";
      return format === "date-time" ? "2026-11-27T12:00:00Z" : "x";
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return false;
    case "array":
      return [];
    default:
      return {};
  }
}

/** A value of the schema: `values` where given, else the least that is required. */
export function filled(name: string | Schema, values: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const schema = typeof name === "string" ? (schemas[name] ?? {}) : name;
  const made: Record<string, unknown> = { ...values };
  for (const key of schema.required ?? []) {
    if (key in made) continue;
    const property = schema.properties?.[key] ?? {};
    const target = property.$ref === undefined ? property : (schemas[property.$ref.split("/").at(-1) ?? ""] ?? {});
    const whole = target.nullable !== true && (target.type === "object" || target.properties !== undefined);
    made[key] = whole ? filled(target) : sample(target);
  }
  return made;
}

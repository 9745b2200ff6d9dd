/** One request as the routes see it: body, JSON, query string, credentials (contract 3.1). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { type Identities, parseAuthorization, requireAdmin } from "./identity.ts";
import { JsonSyntaxError, parseJson } from "./json.ts";
import { ShapeError } from "./shapes.ts";
import { ApiError, type ApiRequest, type Identity, type JsonNode, type Shape } from "./types.ts";

const BODY_LIMIT = 2 * 1024 * 1024;
const unbrotli = promisify(brotliDecompress);

const badBody = (message: string) => new ApiError(400, "BadJsonBody", message);
const tooLong = () => badBody("Failed to buffer the request body: length limit exceeded");

export class Request implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly raw: IncomingMessage;
  readonly response: ServerResponse;
  readonly draining: AbortSignal;
  readonly closed: AbortSignal;
  #identities: Identities;

  constructor(of: {
    raw: IncomingMessage;
    response: ServerResponse;
    url: string;
    params: Record<string, string>;
    identities: Identities;
    draining: AbortSignal;
  }) {
    const question = of.url.indexOf("?");
    this.method = of.raw.method ?? "GET";
    this.path = question < 0 ? of.url : of.url.slice(0, question);
    this.query = new URLSearchParams(question < 0 ? "" : of.url.slice(question + 1));
    this.params = of.params;
    this.headers = of.raw.headers;
    this.raw = of.raw;
    this.response = of.response;
    this.draining = of.draining;
    this.#identities = of.identities;
    const gone = new AbortController();
    of.response.once("close", () => gone.abort());
    this.closed = gone.signal;
  }

  async bytes(limit = BODY_LIMIT): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    // Read to the end in any case: an answer before it would cut the client off.
    for await (const chunk of this.raw) {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
    }
    if (size > limit) throw tooLong();
    const body = Buffer.concat(chunks);
    if (this.headers["content-encoding"] !== "br") return body;
    try {
      return await unbrotli(body, { maxOutputLength: limit });
    } catch (error) {
      const long = error instanceof RangeError || (error instanceof Error && error.message.includes("larger than"));
      throw long ? tooLong() : badBody("Failed to buffer the request body");
    }
  }

  async json<T>(shape: Shape<T>, options: { limit?: number } = {}): Promise<T> {
    const type = (this.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
    const text = (await this.bytes(options.limit)).toString("utf8");
    if (type !== "application/json") throw badBody("Expected request with `Content-Type: application/json`");
    return decodeBody(text, shape);
  }

  queryArgs<T>(shape: Shape<T>): T {
    const fields = new Map<string, JsonNode>();
    for (const [key, value] of this.query) fields.set(key, { value, start: 0, end: 0, text: "" });
    const node: JsonNode = { value: Object.fromEntries(this.query), start: 0, end: 0, text: "", fields };
    try {
      return shape.decode(node, "");
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const message = error.message.replace(/ at line \d+ column \d+$/, "");
      throw new ApiError(400, "BadQueryArgs", `Failed to deserialize query string: ${message}`);
    }
  }

  checkAuthHeader(): void {
    parseAuthorization(this.headers.authorization);
  }

  async identity(): Promise<Identity> {
    const key = this.query.get("adminKey");
    if (this.headers.authorization === undefined && key !== null) return this.#identities.byKey(key);
    return this.#identities.byHeader(this.headers.authorization);
  }

  async requireAdmin(need: "read" | "write"): Promise<void> {
    requireAdmin(await this.identity(), need);
  }

  async adminJson<T>(shape: Shape<T>, need: "read" | "write"): Promise<T> {
    const identity = await this.identity();
    const body = await this.json(shape);
    requireAdmin(identity, need);
    return body;
  }
}

function decodeBody<T>(text: string, shape: Shape<T>): T {
  try {
    return shape.decode(parseJson(text), "");
  } catch (error) {
    if (error instanceof JsonSyntaxError) {
      const where = error.path === "" ? "" : `${error.path}: `;
      throw badBody(`Failed to parse the request body as JSON: ${where}${error.message}`);
    }
    if (!(error instanceof ShapeError)) throw error;
    throw badBody(`Failed to deserialize the JSON body into the target type: ${error.message}`);
  }
}

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { root } from "./job.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

const { schemas } = JSON.parse(readFileSync(join(root, "test/fixtures/github/comments.json"), "utf8")) as {
  schemas: Readonly<Record<string, Schema>>;
};

/** What of a value does not fit GitHub's own description of it. */
function misfits(schema: Schema, value: unknown, path: string): string[] {
  const at = schema.$ref === undefined ? schema : (schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {});
  if (value === null) return at.nullable === true ? [] : [`${path} is null`];
  if (at.enum !== undefined && !at.enum.includes(value)) return [`${path} is none of ${at.enum.join()}`];
  const kind = Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (at.type !== undefined && at.type !== kind) return [`${path} is ${kind}, not ${at.type}`];
  if (Array.isArray(value)) return value.flatMap((one, index) => misfits(at.items ?? {}, one, `${path}[${index}]`));
  if (typeof value !== "object") return [];
  const fields = value as Readonly<Record<string, unknown>>;
  const missing = (at.required ?? []).filter((name) => !(name in fields)).map((name) => `${path}.${name} is missing`);
  const wrong = Object.entries(at.properties ?? {}).flatMap(([name, one]) =>
    name in fields ? misfits(one, fields[name], `${path}.${name}`) : [],
  );
  return [...missing, ...wrong];
}

function checked<T>(schema: string, value: T): T {
  const found = (Array.isArray(value) ? value : [value]).flatMap((one) => misfits({ $ref: schema }, one, schema));
  if (found.length > 0) throw new Error(found.join("; "));
  return value;
}

interface User {
  readonly login: string;
  readonly type: "Bot" | "User";
}

export interface StoredComment {
  readonly id: number;
  readonly issue: number;
  readonly user: User;
  body: string;
}

export const BOT: User = { login: "github-actions[bot]", type: "Bot" };

function userJson({ login, type }: User): unknown {
  const url = `https://api.github.com/users/${encodeURIComponent(login)}`;
  const urls = ["followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events"];
  return checked("simple-user", {
    login,
    type,
    id: 1,
    node_id: "U_1",
    avatar_url: `${url}.png`,
    gravatar_id: "",
    url,
    html_url: url,
    received_events_url: url,
    site_admin: false,
    ...Object.fromEntries(urls.map((name) => [`${name}_url`, url])),
  });
}

function commentJson({ id, issue, user, body }: StoredComment): unknown {
  const url = `https://api.github.com/repos/acme/chat/issues/comments/${id}`;
  return checked("issue-comment", {
    id,
    node_id: `IC_${id}`,
    url,
    html_url: url,
    issue_url: `https://api.github.com/repos/acme/chat/issues/${issue}`,
    body,
    user: userJson(user),
    created_at: "2026-11-23T12:00:00Z",
    updated_at: "2026-11-23T12:00:00Z",
    author_association: "NONE",
  });
}

/** GitHub's API in small: comments of one repository (acme/chat), and who asks. It remembers, and checks what it says. */
export class GitHubApi {
  readonly comments: StoredComment[] = [];
  readonly requests: string[] = [];
  /** The token's own account; undefined for an installation's token, which may not ask for it. */
  self: User | undefined;
  /** Answers writes with 403, as for runs of forks. */
  readOnly = false;
  readonly #token: string;
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status, body, headers }) => {
      response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
      response.end(JSON.stringify(body));
    });
  });

  constructor(token: string) {
    this.#token = token;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(user: User, body: string, issue = 7): StoredComment {
    const comment = { id: this.comments.length + 1, issue, user, body };
    this.comments.push(comment);
    return comment;
  }

  async #answer(
    request: IncomingMessage,
  ): Promise<{ status: number; body: unknown; headers?: Record<string, string> }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString("utf8");
    const url = new URL(request.url ?? "/", this.url);
    const route = `${request.method} ${url.pathname}`;
    this.requests.push(`${route}${url.search}`);
    const error = (status: number, message: string) => ({ status, body: checked("basic-error", { message }) });
    if (request.headers.authorization !== `token ${this.#token}`) return error(401, "Bad credentials");
    if (route === "GET /user") {
      if (this.self === undefined) return error(403, "Resource not accessible by integration");
      return { status: 200, body: userJson(this.self) };
    }
    const list = /^GET \/repos\/acme\/chat\/issues\/(\d+)\/comments$/.exec(route);
    if (list !== null) return this.#page(Number(list[1]), url);
    if (this.readOnly) return error(403, "Resource not accessible by integration");
    const body = text === "" ? undefined : (JSON.parse(text) as { body?: unknown }).body;
    if (typeof body !== "string" || body === "" || body.length > 65_536) return error(422, "Validation Failed");
    const create = /^POST \/repos\/acme\/chat\/issues\/(\d+)\/comments$/.exec(route);
    if (create !== null) {
      return { status: 201, body: commentJson(this.add(this.self ?? BOT, body, Number(create[1]))) };
    }
    const update = /^PATCH \/repos\/acme\/chat\/issues\/comments\/(\d+)$/.exec(route);
    const comment = this.comments.find(({ id }) => id === Number(update?.[1]));
    if (comment === undefined) return error(404, "Not Found");
    comment.body = body;
    return { status: 200, body: commentJson(comment) };
  }

  #page(issue: number, url: URL): { status: number; body: unknown; headers: Record<string, string> } {
    const size = Math.min(100, Number(url.searchParams.get("per_page") ?? "30"));
    const page = Number(url.searchParams.get("page") ?? "1");
    const all = this.comments.filter((comment) => comment.issue === issue);
    const next = new URL(url);
    next.searchParams.set("page", String(page + 1));
    return {
      status: 200,
      body: all.slice((page - 1) * size, page * size).map(commentJson),
      headers: all.length > page * size ? { link: `<${next.href}>; rel="next"` } : {},
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { root } from "./job.ts";

interface Field {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly nullable?: boolean;
  readonly oneOf?: readonly Field[];
  readonly anyOf?: readonly Field[];
  readonly items?: Field;
}

interface RequestForm {
  readonly all: readonly string[];
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, Field>>;
}

const described = JSON.parse(readFileSync(join(root, "test/fixtures/github/issues.json"), "utf8")) as {
  readonly requests: Readonly<Record<"create" | "update" | "comment", RequestForm>>;
  readonly issue: { readonly required: readonly string[] };
};

function fits(field: Field, value: unknown): boolean {
  const choices = field.oneOf ?? field.anyOf;
  if (choices !== undefined) return choices.some((choice) => fits(choice, value));
  if (value === null) return field.nullable === true || field.type === "null";
  if (field.enum !== undefined && !field.enum.includes(value)) return false;
  if (Array.isArray(value)) return field.type === "array" && value.every((one) => fits(field.items ?? {}, one));
  return field.type === (Number.isInteger(value) ? "integer" : typeof value);
}

/** What of a request's body does not fit GitHub's own description of it. */
function misfits(form: RequestForm, body: Readonly<Record<string, unknown>>): string[] {
  const missing = form.required.filter((name) => !(name in body)).map((name) => `${name} is missing`);
  const wrong = Object.entries(body).flatMap(([name, value]) => {
    if (!form.all.includes(name)) return [`${name} is unknown`];
    const field = form.properties[name];
    return field === undefined || fits(field, value) ? [] : [`${name} does not fit`];
  });
  return [...missing, ...wrong];
}

export interface User {
  readonly login: string;
  readonly type: "Bot" | "User";
}

export interface StoredIssue {
  readonly number: number;
  readonly user: User;
  readonly pullRequest: boolean;
  title: string;
  body: string;
  labels: readonly string[];
  state: "open" | "closed";
  stateReason: string | null;
  readonly comments: string[];
}

export const BOT: User = { login: "github-actions[bot]", type: "Bot" };

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

/** The issues of one repository as GitHub's API shows them. It remembers, and refuses what GitHub would. */
export class IssuesApi {
  readonly issues: StoredIssue[] = [];
  readonly requests: string[] = [];
  /** The token's own account; undefined for an installation's token, which may not ask for it. */
  self: User | undefined;
  /** Answers every request with it, as for a token that may not, or a repository without issues. */
  refuseWith: number | undefined;
  readonly #token: string;
  readonly #repository: string;
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status, body, headers }) => {
      response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
      response.end(JSON.stringify(body));
    });
  });

  constructor(token: string, repository = "acme/chat") {
    this.#token = token;
    this.#repository = repository;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(more: Partial<StoredIssue> = {}): StoredIssue {
    const issue: StoredIssue = {
      ...{ number: this.issues.length + 1, user: BOT, pullRequest: false, title: "title", body: "" },
      ...{ labels: [], state: "open" as const, stateReason: null, comments: [] },
      ...more,
    };
    this.issues.push(issue);
    return issue;
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString("utf8");
    const url = new URL(request.url ?? "/", this.url);
    const route = `${request.method} ${url.pathname}`;
    this.requests.push(`${route}${url.search}`);
    const error = (status: number, message: string): Answer => ({ status, body: { message } });
    if (request.headers.authorization !== `token ${this.#token}`) return error(401, "Bad credentials");
    if (route === "GET /user") {
      return this.self === undefined
        ? error(403, "Resource not accessible by integration")
        : { status: 200, body: userJson(this.self) };
    }
    if (this.refuseWith !== undefined) return error(this.refuseWith, "Refused");
    const base = `/repos/${this.#repository}/issues`;
    if (route === `GET ${base}`) return this.#page(url);
    const [, number = "", comments] = new RegExp(`^${base}(?:/(\\d+))?(/comments)?$`).exec(url.pathname) ?? [];
    const body = JSON.parse(text) as Record<string, unknown>;
    const kind = comments !== undefined ? "comment" : number === "" ? "create" : "update";
    const wrong = misfits(described.requests[kind], body);
    if (wrong.length > 0 || String(body["body"] ?? "").length > 65_536) return error(422, wrong.join("; "));
    if (kind === "create") return { status: 201, body: this.#json(this.#create(body)) };
    const issue = this.issues.find((one) => String(one.number) === number);
    if (issue === undefined) return error(404, "Not Found");
    if (kind === "comment") {
      issue.comments.push(String(body["body"]));
      return { status: 201, body: { id: issue.comments.length, body: body["body"] } };
    }
    issue.title = String(body["title"] ?? issue.title);
    issue.body = String(body["body"] ?? issue.body);
    if (body["state"] !== undefined) issue.state = body["state"] as StoredIssue["state"];
    issue.stateReason = (body["state_reason"] as string | undefined) ?? issue.stateReason;
    return { status: 200, body: this.#json(issue) };
  }

  #create(body: Readonly<Record<string, unknown>>): StoredIssue {
    const [title, text] = [String(body["title"]), String(body["body"] ?? "")];
    return this.add({ title, body: text, labels: (body["labels"] as string[]) ?? [], user: this.self ?? BOT });
  }

  #page(url: URL): Answer {
    const size = Math.min(100, Number(url.searchParams.get("per_page") ?? "30"));
    const page = Number(url.searchParams.get("page") ?? "1");
    const state = url.searchParams.get("state") ?? "open";
    const all = this.issues.filter((issue) => state === "all" || issue.state === state);
    if (url.searchParams.get("direction") !== "asc") all.reverse();
    const next = new URL(url);
    next.searchParams.set("page", String(page + 1));
    return {
      status: 200,
      body: all.slice((page - 1) * size, page * size).map((issue) => this.#json(issue)),
      headers: all.length > page * size ? { link: `<${next.href}>; rel="next"` } : {},
    };
  }

  #json(issue: StoredIssue): unknown {
    const url = `https://api.github.com/repos/${this.#repository}/issues/${issue.number}`;
    const shown: Record<string, unknown> = {
      ...{ id: issue.number, node_id: `I_${issue.number}`, number: issue.number, title: issue.title, body: issue.body },
      ...{
        url,
        html_url: `https://github.com/${this.#repository}/issues/${issue.number}`,
        labels_url: `${url}/labels`,
      },
      ...{ repository_url: `https://api.github.com/repos/${this.#repository}`, comments_url: `${url}/comments` },
      ...{ events_url: `${url}/events`, state: issue.state, state_reason: issue.stateReason, locked: false },
      ...{ labels: issue.labels.map((name) => ({ name })), assignee: null, milestone: null, closed_at: null },
      ...{ comments: issue.comments.length, user: userJson(issue.user) },
      ...{ created_at: "2026-11-23T12:00:00Z", updated_at: "2026-11-23T12:00:00Z" },
      ...(issue.pullRequest ? { pull_request: { url } } : {}),
    };
    const missing = described.issue.required.filter((name) => !(name in shown));
    if (missing.length > 0) throw new Error(`an issue without ${missing.join(", ")}`);
    return shown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

const userJson = ({ login, type }: User): unknown => ({ login, type, id: 1, node_id: "U_1" });

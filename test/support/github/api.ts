import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type Answer, FORBIDDEN, ROUTES, type Route } from "./routes.ts";
import { requestMisfits, responseMisfits } from "./schemas.ts";
import { BOT, State, type StoredComment, type User } from "./state.ts";

export { BOT } from "./state.ts";

interface Sent extends Answer {
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers of a server in trouble, instead of its own. */
export interface Trouble {
  readonly status: number;
  readonly message?: string;
  /** Instead of an error's. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Only calls whose `METHOD /path` match. */
  readonly of?: RegExp;
}

interface Matched {
  readonly route: Route;
  /** As the schemas know it. */
  readonly path: string;
  readonly method: string;
  readonly values: ReadonlyMap<string, string>;
}

const DOCS = "https://docs.github.com/rest";
const PATTERNS = ROUTES.map((route) => {
  const [method = "", path = ""] = route.route.split(" ");
  // Refs have slashes of their own.
  const pattern = path.replace(/\{(\w+)\}/g, (_, name: string) => `(?<${name}>${name === "ref" ? ".+" : "[^/]+"})`);
  return { route, method, path, pattern: new RegExp(`^${pattern}$`) };
});

function match(method: string, pathname: string): Matched | undefined {
  for (const { route, path, pattern, ...known } of PATTERNS) {
    const groups = known.method === method ? pattern.exec(pathname)?.groups : undefined;
    if (known.method !== method || !pattern.test(pathname)) continue;
    const values = Object.entries(groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)] as const);
    return { route, path, method, values: new Map(values) };
  }
  return undefined;
}

const error = (status: number, message: string): Sent => ({
  status,
  body: { message, documentation_url: DOCS, status: String(status) },
});

/**
 * GitHub's API in small, for one repository. It remembers, and holds every request and every answer against GitHub's
 * own description: a request that does not fit gets 422, an answer that does not is a defect of the double and ends in
 * `defects`. Calls that it does not know get 404 and end there too.
 */
export class GitHubApi {
  readonly state: State;
  /** `GET /repos/…?page=2`, as they came. */
  readonly requests: string[] = [];
  readonly defects: string[] = [];
  /** What the token may; `read` is part of `write`. */
  readonly permissions = new Set(["pull-requests: write", "deployments: write", "contents: read"]);
  /** The token's own account; undefined for an installation's token, which may not ask for it. */
  self: User | undefined;
  /** Taken one by one, each by the first call that it is for. */
  readonly troubles: Trouble[] = [];
  /** So many writes are carried out, all later ones refused, as of a run that was cut off. */
  failWritesAfter: number | undefined;
  /** Comes between a page of a list and the next one. */
  onPage: ((page: number) => void) | undefined;
  readonly #token: string;
  readonly #base: string;
  readonly #server = createServer((request, response) => {
    void this.#answer(request).then(({ status, body, headers }) => {
      response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    });
  });

  /** @param base the path of the API: `/api/v3` on GitHub Enterprise */
  constructor(token: string, options: { readonly repository?: string; readonly base?: string } = {}) {
    this.#token = token;
    this.#base = options.base ?? "";
    this.state = new State(options.repository ?? "acme/chat");
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${this.#base}`;
  }

  get comments(): StoredComment[] {
    return this.state.comments;
  }

  /** Answers writes with 403, as for runs of forks. */
  set readOnly(on: boolean) {
    if (!on) return;
    for (const permission of [...this.permissions]) {
      this.permissions.delete(permission);
      this.permissions.add(permission.replace("write", "read"));
    }
  }

  add(user: User, body: string, issue = 7): StoredComment {
    const comment = { id: this.state.nextId(), issue, user, body };
    this.state.comments.push(comment);
    return comment;
  }

  async #answer(request: IncomingMessage): Promise<Sent> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(request.url ?? "/", this.url);
    const method = request.method ?? "GET";
    const pathname = url.pathname.startsWith(this.#base) ? url.pathname.slice(this.#base.length) : url.pathname;
    const line = `${method} ${pathname}`;
    this.requests.push(`${line}${url.search}`);
    const trouble = this.#cutOff(method) ?? this.#trouble(line);
    if (trouble !== undefined) return trouble;
    if (request.headers.authorization !== `token ${this.#token}`) return error(401, "Bad credentials");
    const matched = match(method, pathname);
    if (matched === undefined || !this.#isOurs(matched)) {
      this.defects.push(`unknown: ${line}`);
      return error(404, "Not Found");
    }
    return this.#carryOut(matched, url, Buffer.concat(chunks).toString("utf8"));
  }

  #isOurs({ values }: Matched): boolean {
    const [owner, repo] = this.state.repository.split("/");
    return values.get("owner") === undefined || (values.get("owner") === owner && values.get("repo") === repo);
  }

  #cutOff(method: string): Sent | undefined {
    if (this.failWritesAfter === undefined || method === "GET") return undefined;
    this.failWritesAfter -= 1;
    return this.failWritesAfter < 0 ? error(422, "Cut off") : undefined;
  }

  #trouble(line: string): Sent | undefined {
    const at = this.troubles.findIndex(({ of }) => of === undefined || of.test(line));
    const [trouble] = at < 0 ? [] : this.troubles.splice(at, 1);
    if (trouble === undefined) return undefined;
    const made = error(trouble.status, trouble.message ?? "Server Error");
    return { ...made, ...("body" in trouble ? { body: trouble.body } : {}), headers: trouble.headers ?? {} };
  }

  #may(needs: readonly string[] | undefined): boolean {
    if (needs === undefined) return true;
    return needs.some((need) => this.permissions.has(need) || this.permissions.has(need.replace("read", "write")));
  }

  #carryOut({ route, path, method, values }: Matched, url: URL, text: string): Sent {
    if (!this.#may(route.needs)) return FORBIDDEN;
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    const wrong = requestMisfits(method, path, body);
    if (wrong.length > 0) return error(422, `Validation Failed: ${wrong.join("; ")}`);
    const fields = (body ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof fields["body"] === "string" && (fields["body"] === "" || fields["body"].length > 65_536)) {
      return error(422, "Validation Failed");
    }
    const { state, self } = this;
    const at = (name: string): string => values.get(name) ?? "";
    const sent = this.#page(
      route.answer({ state, at, query: url.searchParams, body: fields, self, writer: self ?? BOT }),
      url,
    );
    const misfits = responseMisfits(method, path, sent.status, sent.body);
    this.defects.push(...misfits.map((one) => `${method} ${path} ${sent.status}: ${one}`));
    return misfits.length > 0 ? error(500, `The double is wrong: ${misfits[0]}`) : sent;
  }

  #page(answer: Answer, url: URL): Sent {
    if (!Array.isArray(answer.body)) return answer;
    const size = Math.min(100, Number(url.searchParams.get("per_page") ?? "30"));
    const page = Number(url.searchParams.get("page") ?? "1");
    const next = new URL(url);
    next.searchParams.set("page", String(page + 1));
    const more = answer.body.length > page * size;
    const body: unknown[] = answer.body.slice((page - 1) * size, page * size);
    this.onPage?.(page);
    return { status: answer.status, body, headers: more ? { link: `<${next.href}>; rel="next"` } : {} };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An artifact as the double keeps it. */
export interface KeptArtifact {
  readonly id: number;
  readonly name: string;
  readonly run: string;
  readonly createdAt: Date;
  bytes: Buffer;
  digest: string | undefined;
  finished: boolean;
  expired: boolean;
}

interface Blob {
  readonly artifact: KeptArtifact;
  readonly blocks: Map<string, Buffer>;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const TWIRP = "/twirp/github.actions.results.api.v1.ArtifactService/";

class Refusal extends Error {
  readonly answer: Answer;
  constructor(status: number, message: string) {
    super(message);
    this.answer = { status, body: { code: String(status), msg: message, message } };
  }
}

/** The unsigned look of the runner's token: the library reads ids out of it, the service checks that it is the same. */
export function runtimeToken(run: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part({ scp: `Actions.GenericRead Actions.Results:${run}:job-of-${run}` })}.signature`;
}

/**
 * A double of what artifacts are kept by: the results service (Twirp) and its blob storage (Azure's block blobs), as
 * `@actions/artifact` 6 speaks to them, and the artifacts of GitHub's REST API. It refuses what the real ones refuse:
 * another token, names that are taken in the same run, unknown fields, blocks that were never sent.
 */
export class FakeArtifacts implements AsyncDisposable {
  readonly artifacts: KeptArtifact[] = [];
  readonly requests: string[] = [];
  readonly token = "ghs_testtoken0123456789";
  /** What the next requests of a kind are answered with, one after another, instead of the truth. */
  readonly faults: { readonly on: RegExp; readonly answer: Answer | "cut" }[] = [];
  /** Bytes after which a download is cut, once each. */
  readonly cuts: number[] = [];
  /** Flips a bit in every download. */
  corrupts = false;
  /** What the token may do: `read`, `write` or nothing. */
  permission: "write" | "read" | "none" = "write";
  readonly #repository: string;
  #nextId = 1001;
  readonly #blobs = new Map<string, Blob>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  constructor(repository = "acme/chat") {
    this.#repository = repository;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The environment of an action in a run. */
  env(run: string) {
    return {
      ACTIONS_RUNTIME_TOKEN: runtimeToken(run),
      ACTIONS_RESULTS_URL: `${this.url}/`,
      GITHUB_API_URL: this.url,
      GITHUB_REPOSITORY: this.#repository,
      GITHUB_SERVER_URL: "https://github.com",
    };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return; // The client went away.
    }
    const url = new URL(request.url ?? "/", this.url);
    const route = `${request.method} ${url.pathname}`;
    this.requests.push(`${route}${url.search}`);
    const fault = this.faults.findIndex(({ on }) => on.test(`${route}${url.search}`));
    const planned = fault === -1 ? undefined : this.faults.splice(fault, 1)[0]?.answer;
    if (planned === "cut") {
      request.socket.resetAndDestroy();
      return;
    }
    if (route.startsWith("GET /download/")) {
      this.#download(url, request, response);
      return;
    }
    const answer = planned ?? this.#answer(request, url, Buffer.concat(chunks));
    response.writeHead(answer.status, { "content-type": "application/json; charset=utf-8", ...answer.headers });
    response.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
  }

  #answer(request: IncomingMessage, url: URL, body: Buffer): Answer {
    try {
      if (url.pathname.startsWith(TWIRP)) return this.#twirp(request, url.pathname.slice(TWIRP.length), body);
      if (url.pathname.startsWith("/upload/")) return this.#upload(request, url, body);
      return this.#rest(request, url);
    } catch (failure) {
      if (failure instanceof Refusal) return failure.answer;
      throw failure;
    }
  }

  #twirp(request: IncomingMessage, method: string, text: Buffer): Answer {
    const body = JSON.parse(text.toString()) as Record<string, unknown>;
    const run = String(body["workflow_run_backend_id"]);
    if (request.headers.authorization !== `Bearer ${runtimeToken(run)}`)
      throw new Refusal(401, "token is not of this run");
    if (body["workflow_job_run_backend_id"] !== `job-of-${run}`) throw new Refusal(403, "token is not of this job");
    const allowed: Readonly<Record<string, readonly string[]>> = {
      CreateArtifact: ["name", "expires_at", "version", "mime_type"],
      FinalizeArtifact: ["name", "size", "hash"],
    };
    const fields = allowed[method];
    if (fields === undefined) throw new Refusal(404, `no method ${method}`);
    for (const field of Object.keys(body)) {
      if (!/^workflow_(job_)?run_backend_id$/.test(field) && !fields.includes(field)) {
        throw new Refusal(400, `unknown field ${field}`);
      }
    }
    const name = String(body["name"]);
    if (/["<>|*?\r\n\\/:]/.test(name) || name === "") throw new Refusal(400, "name is invalid");
    const existing = this.artifacts.find((one) => one.run === run && one.name === name);
    if (method === "CreateArtifact") {
      if (existing !== undefined) {
        throw new Refusal(409, "an artifact with this name already exists on the workflow run");
      }
      return { status: 200, body: { ok: true, signed_upload_url: this.#create(name, run) } };
    }
    if (existing === undefined) throw new Refusal(404, "no such artifact");
    // Fields of the value zero are left out (proto3).
    if (String(existing.bytes.length) !== (body["size"] ?? "0")) throw new Refusal(400, "size differs from the blob's");
    const digest = `sha256:${createHash("sha256").update(existing.bytes).digest("hex")}`;
    if (body["hash"] !== digest) throw new Refusal(400, "hash differs from the blob's");
    existing.digest = digest;
    existing.finished = true;
    return { status: 200, body: { ok: true, artifact_id: String(existing.id) } };
  }

  #create(name: string, run: string): string {
    const artifact: KeptArtifact = {
      id: this.#nextId++,
      name,
      run,
      createdAt: new Date(Math.floor(Date.now() / 1000) * 1000),
      bytes: Buffer.of(),
      digest: undefined,
      finished: false,
      expired: false,
    };
    this.artifacts.push(artifact);
    const blob = randomUUID();
    this.#blobs.set(blob, { artifact, blocks: new Map() });
    return `${this.url}/upload/${blob}?sig=${encodeURIComponent(`sig+of/${blob}`)}&se=2099-01-01`;
  }

  /** Azure, "Put Block" and "Put Block List". */
  #upload(request: IncomingMessage, url: URL, body: Buffer): Answer {
    const id = url.pathname.slice("/upload/".length);
    const blob = this.#blobs.get(id);
    if (blob === undefined || url.searchParams.get("sig") !== `sig+of/${id}`) throw new Refusal(403, "signature");
    if (request.method !== "PUT" || request.headers["x-ms-version"] === undefined)
      throw new Refusal(400, "no Azure request");
    if (request.headers.authorization !== undefined) throw new Refusal(400, "two kinds of authorization");
    const comp = url.searchParams.get("comp");
    if (comp === "block") {
      if (body.length === 0 || String(body.length) !== request.headers["content-length"])
        throw new Refusal(400, "block");
      blob.blocks.set(url.searchParams.get("blockid") ?? "", body);
      return { status: 201 };
    }
    if (comp !== "blocklist") throw new Refusal(400, `comp=${comp} is not known`);
    const ids = [...body.toString().matchAll(/<(?:Latest|Uncommitted)>([^<]+)</g)].map(([, one]) => one ?? "");
    const parts = ids.map((one) => blob.blocks.get(one));
    if (parts.includes(undefined)) throw new Refusal(400, "InvalidBlockList");
    blob.artifact.bytes = Buffer.concat(parts.filter((part) => part !== undefined));
    return { status: 201 };
  }

  #rest(request: IncomingMessage, url: URL): Answer {
    if (request.headers.authorization !== `Bearer ${this.token}`) throw new Refusal(401, "Bad credentials");
    const needed = request.method === "DELETE" ? "write" : "read";
    if (this.permission !== "write" && this.permission !== needed) {
      throw new Refusal(403, "Resource not accessible by integration");
    }
    const path = url.pathname.replace(`/repos/${this.#repository}/actions/artifacts`, "");
    if (path === url.pathname) throw new Refusal(404, "Not Found");
    if (path === "") return this.#page(url);
    const match = /^\/(\d+)(\/zip)?$/.exec(path);
    const artifact = this.artifacts.find(({ id, finished }) => finished && id === Number(match?.[1]));
    if (artifact === undefined) throw new Refusal(404, "Not Found");
    if (request.method === "DELETE") {
      this.artifacts.splice(this.artifacts.indexOf(artifact), 1);
      return { status: 204 };
    }
    if (match?.[2] === undefined) return { status: 200, body: this.#json(artifact) };
    if (artifact.expired) throw new Refusal(410, "Artifact has expired");
    return { status: 302, headers: { location: `${this.url}/download/${artifact.id}?sig=secret-of-the-download` } };
  }

  #page(url: URL): Answer {
    const size = Math.min(100, Number(url.searchParams.get("per_page") ?? "30"));
    const page = Number(url.searchParams.get("page") ?? "1");
    const name = url.searchParams.get("name");
    // Newest first, as GitHub lists them.
    const all = this.artifacts.filter((one) => one.finished && (name === null || one.name === name)).reverse();
    const artifacts = all.slice((page - 1) * size, page * size).map((one) => this.#json(one));
    return { status: 200, body: { total_count: all.length, artifacts } };
  }

  /** The schema `artifact` of GitHub's OpenAPI description. */
  #json(artifact: KeptArtifact): unknown {
    const url = `${this.url}/repos/${this.#repository}/actions/artifacts/${artifact.id}`;
    const created = artifact.createdAt.toISOString().replace(".000", "");
    return {
      id: artifact.id,
      node_id: "MDg6QXJ0aWZhY3Q=",
      name: artifact.name,
      size_in_bytes: artifact.bytes.length,
      url,
      archive_download_url: `${url}/zip`,
      expired: artifact.expired,
      created_at: created,
      updated_at: created,
      expires_at: "2099-01-01T00:00:00Z",
      digest: artifact.digest ?? null,
      workflow_run: { id: 1, repository_id: 1, head_repository_id: 1, head_branch: "main", head_sha: "0".repeat(40) },
    };
  }

  #download(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const artifact = this.artifacts.find(({ id }) => url.pathname === `/download/${id}`);
    const stranger = request.headers.authorization !== undefined || url.searchParams.get("sig") === null;
    if (artifact === undefined || stranger) {
      response.writeHead(403).end();
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const bytes = Buffer.from(artifact.bytes.subarray(from));
    if (this.corrupts && bytes.length > 0) bytes[0] = (bytes[0] ?? 0) ^ 1;
    response.writeHead(from === 0 ? 200 : 206, { "content-length": String(bytes.length) });
    const cut = this.cuts.shift();
    if (cut === undefined) response.end(bytes);
    else response.write(bytes.subarray(0, cut), () => request.socket.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

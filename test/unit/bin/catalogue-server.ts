import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface CatalogueWorld {
  organisation: string;
  /** Tag → assets: name → digest (null as for old assets). */
  releases: Record<string, Record<string, string | null>>;
  /** First seven digits → full commit. */
  commits: Record<string, string>;
  /** Commit → digest. */
  images: Record<string, string>;
  imageOrganisation: string;
}

type Reply = readonly [status: number, body: unknown, headers?: Record<string, string>];

/** GitHub's releases and commits, and a registry that wants a token from everybody, on one port. */
export class CatalogueServer {
  readonly requests: string[] = [];
  readonly world: CatalogueWorld;
  readonly #server = createServer((request, response) => this.#answer(request, response));

  constructor(world: Partial<CatalogueWorld>) {
    this.world = {
      ...{ organisation: "get-convex", imageOrganisation: "get-convex", releases: {}, commits: {}, images: {} },
      ...world,
    };
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #route(request: IncomingMessage, url: URL): Reply {
    const { organisation, imageOrganisation, commits, images } = this.world;
    const repository = `/repos/${organisation}/convex-backend`;
    if (url.pathname === "/token") return [200, { token: `pull:${url.searchParams.get("scope")}` }];
    if (url.pathname === "/repos/get-convex/convex-backend/releases" && organisation !== "get-convex")
      return [301, { message: "Moved Permanently" }, { location: `${this.url}/repositories/1/releases` }];
    if (url.pathname === `${repository}/releases`) return [200, this.#page(url)];
    const commit = commits[url.pathname.slice(`${repository}/commits/`.length)];
    if (url.pathname.startsWith(`${repository}/commits/`) && commit !== undefined) return [200, { sha: commit }];
    const [, owner, tag = ""] = /^\/v2\/([\w-]+)\/convex-backend\/manifests\/(.+)$/.exec(url.pathname) ?? [];
    if (owner === undefined) return [404, { message: "Not Found" }];
    const scope = `repository:${owner}/convex-backend:pull`;
    if (request.headers.authorization !== `Bearer pull:${scope}`) {
      const challenge = `Bearer realm="${this.url}/token",service="registry",scope="${scope}"`;
      return [401, {}, { "www-authenticate": challenge }];
    }
    const digest = owner === imageOrganisation ? images[tag] : undefined;
    return digest === undefined ? [404, {}] : [200, {}, { "docker-content-digest": digest }];
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.url);
    const { authorization } = request.headers;
    this.requests.push(`${request.method} ${url.pathname}${authorization === undefined ? "" : ` ${authorization}`}`);
    const [status, body, headers = {}] = this.#route(request, url);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(request.method === "HEAD" ? undefined : JSON.stringify(body));
  }

  #page(url: URL): unknown {
    const size = Number(url.searchParams.get("per_page") ?? "30");
    const page = Number(url.searchParams.get("page") ?? "1");
    const all = Object.entries(this.world.releases).map(([tag_name, assets]) => ({
      tag_name,
      assets: Object.entries(assets).map(([name, digest]) => ({ name, digest })),
    }));
    return all.slice((page - 1) * size, page * size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Which handler answers a path; paths that no part registered are 404 with an empty body (contract 3.1). */
import type { Handler, Method, RouteOptions, Routes } from "./types.ts";

export interface Route {
  readonly methods: Map<string, Handler>;
  readonly options: RouteOptions;
}

export interface Match {
  readonly route: Route;
  readonly params: Record<string, string>;
}

/** In the order in which the backend lists them in `allow`. */
const ORDER = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export class Router implements Routes {
  #routes = new Map<string, Route>();

  route(method: Method | "*", path: string, handler: Handler, options: RouteOptions = {}): void {
    const route = this.#routes.get(path) ?? { methods: new Map<string, Handler>(), options };
    this.#routes.set(path, route);
    for (const each of method === "*" ? ORDER : [method]) {
      route.methods.set(each, handler);
      if (each === "GET") route.methods.set("HEAD", handler);
    }
  }

  find(path: string): Match | undefined {
    const exact = this.#routes.get(path);
    if (exact !== undefined) return { route: exact, params: {} };
    for (const [pattern, route] of this.#routes) {
      if (!/[:*]/.test(pattern)) continue;
      const params = matchPattern(pattern, path);
      if (params !== undefined) return { route, params };
    }
    return undefined;
  }
}

export const allowed = (route: Route) => ORDER.filter((method) => route.methods.has(method)).join(",");

function matchPattern(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  const params: Record<string, string> = {};
  for (const [i, segment] of wanted.entries()) {
    if (segment === "*") {
      params["*"] = given.slice(i).join("/");
      return given.length > i ? params : undefined;
    }
    const value = given[i];
    if (value === undefined) return undefined;
    if (!segment.startsWith(":")) {
      if (segment !== value) return undefined;
    } else {
      const decoded = decode(value);
      if (decoded === undefined || decoded === "") return undefined;
      params[segment.slice(1)] = decoded;
    }
  }
  return given.length === wanted.length ? params : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

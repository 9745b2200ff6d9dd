import type { Labels } from "../../backend/docker/labels.ts";
import { API_PORT, SITE_PORT } from "../../backend/docker/origins.ts";

export type ProxyKind = "traefik" | "caddy";

/** One public origin and the port of the container that serves it. */
export interface Route {
  readonly origin: string;
  readonly port: number;
}

export interface RouteOptions {
  /** Unique on the host. */
  readonly id: string;
  /** Where proxy and container meet. */
  readonly network: string;
  /** Traefik's certificate resolver; its default certificate without. */
  readonly certResolver?: string | undefined;
}

/** API and HTTP actions of a backend. */
export function backendRoutes(origins: { readonly cloud: string; readonly site: string }): readonly Route[] {
  return [
    { origin: origins.cloud, port: API_PORT },
    { origin: origins.site, port: SITE_PORT },
  ];
}

/** The labels by which a proxy that watches the engine finds the routes. */
export function routeLabels(proxy: ProxyKind, routes: readonly Route[], options: RouteOptions): Labels {
  return proxy === "traefik" ? traefikLabels(routes, options) : caddyLabels(routes, options);
}

/** Traefik v3, provider docker: one router and one service a route. Names there hold no dots. */
function traefikLabels(routes: readonly Route[], { id, network, certResolver }: RouteOptions): Labels {
  const labels: Record<string, string> = { "traefik.enable": "true", "traefik.docker.network": network };
  for (const { origin, port } of routes) {
    const name = `${id.replaceAll(".", "-")}-${port}`;
    const { hostname, protocol } = new URL(origin);
    const router = `traefik.http.routers.${name}`;
    labels[`${router}.rule`] = `Host(\`${hostname}\`)`;
    labels[`${router}.service`] = name;
    if (protocol === "https:") labels[`${router}.tls`] = "true";
    if (certResolver !== undefined) labels[`${router}.tls.certresolver`] = certResolver;
    labels[`traefik.http.services.${name}.loadbalancer.server.port`] = String(port);
  }
  return labels;
}

/** caddy-docker-proxy: one site a route, numbered so that they are not merged. Caddy gets the certificates itself. */
function caddyLabels(routes: readonly Route[], { network }: RouteOptions): Labels {
  const labels: Record<string, string> = { caddy_ingress_network: network };
  routes.forEach(({ origin, port }, index) => {
    const { host, protocol } = new URL(origin);
    labels[`caddy_${index}`] = protocol === "https:" ? host : origin;
    labels[`caddy_${index}.reverse_proxy`] = `{{upstreams ${port}}}`;
  });
  return labels;
}

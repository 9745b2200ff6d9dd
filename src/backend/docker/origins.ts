import { ActionError } from "../../runner/errors.ts";
import type { BackendSpec } from "../backend.ts";

/** The ports that the image listens on; its scripts fix them (contract 1.2). */
export const API_PORT = 3210;
export const SITE_PORT = 3211;

/** Where a job reaches the backend, and what the backend gives out. */
export interface Origins {
  readonly url: string;
  readonly siteUrl: string;
  readonly cloudOrigin: string;
  readonly siteOrigin: string;
}

/** Inside of the container: connections to `host:port` go on to the backend's own `target` port. */
export interface Forward {
  readonly host: string;
  readonly port: number;
  readonly target: number;
}

/** The backend is published: `host` is what the job calls the address that the ports are on. */
export function publishedOrigins(spec: BackendSpec, host: string, port: number, sitePort: number): Origins {
  return withOrigins(spec, `http://${host}:${port}`, `http://${host}:${sitePort}`);
}

/** The backend is on the job container's network, where it has a name; the inner ports are the ports there. */
export function networkOrigins(spec: BackendSpec, alias: string): Origins {
  return withOrigins(spec, `http://${alias}:${API_PORT}`, `http://${alias}:${SITE_PORT}`);
}

function withOrigins(spec: BackendSpec, url: string, siteUrl: string): Origins {
  return { url, siteUrl, cloudOrigin: spec.cloudOrigin ?? url, siteOrigin: spec.siteOrigin ?? siteUrl };
}

/**
 * What has to be forwarded inside of the container so that loopback origins lead to the backend there too: Node actions
 * call the cloud origin, sign-in the site origin (contract 8.3). Other origins are the user's business.
 * @throws ActionError `origin-port-crossed` when an origin has the inner port of the other service
 */
export function forwardsFor(origins: Pick<Origins, "cloudOrigin" | "siteOrigin">): Forward[] {
  return [
    ...forwardOf("cloud-origin", origins.cloudOrigin, API_PORT, SITE_PORT),
    ...forwardOf("site-origin", origins.siteOrigin, SITE_PORT, API_PORT),
  ];
}

function forwardOf(name: string, origin: string, own: number, other: number): Forward[] {
  const url = URL.parse(origin);
  if (url === null || url.protocol !== "http:" || !isLoopback(url.hostname)) return [];
  const port = Number(url.port || "80");
  if (port === own) return [];
  if (port === other) {
    throw new ActionError(
      "origin-port-crossed",
      `${origin} would be the ${name}, but inside of the container port ${other} is the backend's other service, so its own calls would go astray (Node actions, sign-in).`,
      `Do not use port ${SITE_PORT} for port or ${API_PORT} for site-port; any other port works.`,
    );
  }
  const hosts = url.hostname === "localhost" ? ["127.0.0.1", "::1"] : [url.hostname.replace(/^\[|\]$/g, "")];
  return hosts.map((host) => ({ host, port, target: own }));
}

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname === "::1" || hostname.startsWith("127.");
}

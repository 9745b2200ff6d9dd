import { API_PORT, isLoopback, SITE_PORT } from "./origins.ts";

/** What is wrong with the origins of a backend that we did not start. */
export interface OriginFinding {
  /** Full sentences. */
  readonly what: string;
  /** Two lines for `env:` of the service. */
  readonly lines: readonly [string, string];
}

/**
 * Judges the origins of a service container by contract 8.3: they must be valid inside of the container and for this
 * job. What only a look-up inside could tell (another host name) is reported as well: this job does not use that name.
 */
export function judgeOrigins(
  origins: { readonly cloud: string | undefined; readonly site: string | undefined },
  reached: { readonly url: string; readonly siteUrl: string },
): OriginFinding[] {
  const faults = [
    fault("CONVEX_CLOUD_ORIGIN", origins.cloud, reached.url, API_PORT),
    fault("CONVEX_SITE_ORIGIN", origins.site, reached.siteUrl, SITE_PORT),
  ].filter((text) => text !== undefined);
  if (faults.length === 0) return [];
  const [url, siteUrl] = [fitting(reached.url, API_PORT), fitting(reached.siteUrl, SITE_PORT)];
  const moved = url !== reached.url || siteUrl !== reached.siteUrl;
  const ports = moved
    ? ` Publish the ports as they are: "127.0.0.1:${API_PORT}:${API_PORT}" and "127.0.0.1:${SITE_PORT}:${SITE_PORT}".`
    : "";
  return [
    {
      what: `${faults.join(" ")} Node actions, file URLs and sign-in depend on it.${ports}`,
      lines: [`CONVEX_CLOUD_ORIGIN: ${url}`, `CONVEX_SITE_ORIGIN: ${siteUrl}`],
    },
  ];
}

/** The origin that is right once the ports are published unchanged. */
function fitting(url: string, inner: number): string {
  const { hostname } = new URL(url);
  return `http://${hostname}:${inner}`;
}

function fault(name: string, origin: string | undefined, reached: string, inner: number): string | undefined {
  if (!origin) return `The service container has no ${name}, so it gives out relative URLs.`;
  const [theirs, ours] = [URL.parse(origin), new URL(reached)];
  if (theirs === null) return `${name} of the service container is no URL (${origin}).`;
  if (origin.endsWith("/") || theirs.pathname !== "/") return `${name} ends in a slash or a path (${origin}).`;
  const sameHost = theirs.hostname === ours.hostname || (isLoopback(theirs.hostname) && isLoopback(ours.hostname));
  if (!sameHost || theirs.port !== ours.port || theirs.protocol !== ours.protocol) {
    return `${name} of the service container is ${origin}, but this job reaches it at ${reached}.`;
  }
  if (isLoopback(theirs.hostname) && Number(theirs.port || "80") !== inner) {
    return `${name} of the service container is ${origin}, where nothing listens inside of the container (port ${inner} does).`;
  }
  return undefined;
}

import { execIn } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { API_PORT, SITE_PORT } from "./origins.ts";

/** An origin that does not lead to the backend from inside of its own container. */
export interface OriginProblem {
  readonly name: "cloud-origin" | "site-origin";
  readonly origin: string;
  /** Full sentences: what, why, what depends on it. */
  readonly what: string;
}

/**
 * Asks from inside of the container whether the origins lead back to the backend, as its Node actions and its sign-in
 * will (contract 8.3); with the image's own curl, some 100 ms. The backend must be ready, so that an origin that is its
 * own port on the loopback needs no question.
 */
export async function probeOrigins(
  engine: Engine,
  containerId: string,
  origins: { readonly cloudOrigin: string; readonly siteOrigin: string; readonly instanceName?: string },
): Promise<OriginProblem[]> {
  const { cloudOrigin, siteOrigin, instanceName } = origins;
  const [cloud, site] = await Promise.all([
    isOwn(cloudOrigin, API_PORT)
      ? undefined
      : whyNot(engine, containerId, `${cloudOrigin}/instance_name`, instanceName),
    // The site port answers /version itself, whatever the app routes (contract 1.5).
    isOwn(siteOrigin, SITE_PORT) ? undefined : whyNot(engine, containerId, `${siteOrigin}/version`, undefined),
  ]);
  const problems: OriginProblem[] = [];
  if (cloud !== undefined) {
    problems.push({
      name: "cloud-origin",
      origin: cloudOrigin,
      what: `The backend gives out ${cloudOrigin} as its address, but cannot reach itself there (${cloud}). Node actions that call back and uploads in them will fail with "fetch failed".`,
    });
  }
  if (site !== undefined) {
    problems.push({
      name: "site-origin",
      origin: siteOrigin,
      what: `The backend gives out ${siteOrigin} for its HTTP actions, but cannot reach itself there (${site}). Sign-in by Convex Auth will fail.`,
    });
  }
  return problems;
}

/** Not `localhost`: what that means is up to the container. */
function isOwn(origin: string, port: number): boolean {
  return origin === `http://127.0.0.1:${port}`;
}

/** What curl says against it. The forwarder may need a moment on a busy machine, hence the retries. */
async function whyNot(
  engine: Engine,
  containerId: string,
  url: string,
  expected: string | undefined,
): Promise<string | undefined> {
  const limits = ["--max-time", "5", "--retry", "2", "--retry-delay", "1", "--retry-connrefused"];
  const { exitCode, stdout, stderr } = await execIn(engine, containerId, ["curl", "-sSf", ...limits, url]);
  if (exitCode === 0 && (expected === undefined || stdout === expected)) return undefined;
  return exitCode === 0 ? "something else answers" : (stderr.trim().split("\n").at(-1) ?? `exit code ${exitCode}`);
}

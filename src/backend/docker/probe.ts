import { execIn } from "./containers.ts";
import type { Engine } from "./engine.ts";

/** An origin that does not lead to the backend from inside of its own container. */
export interface OriginProblem {
  readonly name: "cloud-origin" | "site-origin";
  readonly origin: string;
  /** What curl said. */
  readonly reason: string;
}

/**
 * Asks from inside of the container whether the origins lead back to the backend, as its Node actions and its sign-in
 * will (contract 8.3); with the image's own curl, some 100 ms. The backend must be ready.
 */
export async function probeOrigins(
  engine: Engine,
  containerId: string,
  origins: { readonly cloudOrigin: string; readonly siteOrigin: string; readonly instanceName: string },
): Promise<OriginProblem[]> {
  const found = await Promise.all([
    probe(engine, containerId, "cloud-origin", origins.cloudOrigin, "/instance_name", origins.instanceName),
    // The site port answers /version itself, whatever the app routes (contract 1.5).
    probe(engine, containerId, "site-origin", origins.siteOrigin, "/version", undefined),
  ]);
  return found.filter((problem) => problem !== undefined);
}

async function probe(
  engine: Engine,
  containerId: string,
  name: OriginProblem["name"],
  origin: string,
  path: string,
  expected: string | undefined,
): Promise<OriginProblem | undefined> {
  const argv = ["curl", "-sS", "-f", "--max-time", "5", `${origin}${path}`];
  const { exitCode, stdout, stderr } = await execIn(engine, containerId, argv);
  if (exitCode !== 0) return { name, origin, reason: stderr.trim() || `curl ended with exit code ${exitCode}` };
  if (expected === undefined || stdout === expected) return undefined;
  return { name, origin, reason: "something else than this backend answers there" };
}

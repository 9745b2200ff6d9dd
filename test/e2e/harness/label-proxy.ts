/**
 * A proxy in front of the second machine's previews that follows the labels of its containers: a real Caddy with its
 * Docker plugin, a real Traefik where `E2E_TRAEFIK` names its program (it takes too long to build for every run), and
 * nginx in Traefik's place otherwise.
 */
import { join } from "node:path";
import { makeAuthority } from "./authority.ts";
import { startCaddy } from "./caddy-proxy.ts";
import type { Daemon } from "./daemon.ts";
import { startNginx } from "./nginx-proxy.ts";
import type { Remote } from "./remote.ts";
import { startTraefik } from "./traefik-proxy.ts";

export interface LabelProxy {
  /** PEM file of the authority that signs its certificates. */
  readonly caFile: string;
  stop(): Promise<void>;
}

/** Starts it on the machine's own network. The Docker network on which it meets previews must be there. */
export async function startLabelProxy(
  remote: Remote,
  place: { readonly domain: string; readonly network: string },
  kind: "traefik" | "caddy",
): Promise<LabelProxy> {
  const folder = join(remote.folder, "proxy");
  await makeAuthority(folder, place.domain);
  const traefik = process.env["E2E_TRAEFIK"];
  const start = async (): Promise<Pick<Daemon, "stop">> => {
    if (kind === "caddy") return await startCaddy(remote, folder, place.network);
    return traefik === undefined ? await startNginx(remote, folder) : await startTraefik(traefik, remote, folder);
  };
  const proxy = await start();
  return { caFile: join(folder, "ca.pem"), stop: () => proxy.stop() };
}

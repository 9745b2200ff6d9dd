import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { inside, listens, type Remote, remoteAddress } from "./remote.ts";

/** A real Traefik with the options of docs/previews.md. */
export async function startTraefik(program: string, remote: Remote, folder: string): Promise<Daemon> {
  const file = join(folder, "tls.yml");
  const certificate = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ tls: { stores: { default: { defaultCertificate: certificate } } } }));
  const options = [
    "--providers.docker=true",
    `--providers.docker.endpoint=unix://${remote.socket}`,
    "--providers.docker.exposedbydefault=false",
    "--entrypoints.websecure.address=:443",
    "--entrypoints.websecure.asdefault=true",
    `--providers.file.filename=${file}`,
    "--global.checknewversion=false",
  ];
  const daemon = startDaemon("traefik", inside(program, ...options), join(folder, "log"));
  return await ready(daemon, () => listens(remoteAddress, 443));
}

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { inside, listens, type Remote, remoteAddress } from "./remote.ts";
import { caddy } from "./tools.ts";

/**
 * A real Caddy with its Docker plugin, as docs/previews.md asks for. It makes each name's certificate when it sees the
 * name, signed by the tests' authority instead of a public one.
 */
export async function startCaddy(remote: Remote, folder: string, network: string): Promise<Daemon> {
  const file = join(folder, "Caddyfile");
  const root = `root {\n\t\t\tformat pem_file\n\t\t\tcert ${folder}/ca.pem\n\t\t\tkey ${folder}/ca.key\n\t\t}`;
  const options = [
    "local_certs",
    "skip_install_trust",
    `storage file_system ${folder}/storage`,
    `pki {\n\t\tca local {\n\t\t\t${root}\n\t\t}\n\t}`,
  ];
  // Something to listen for before there is a preview.
  const idle = `https://nothing.here {\n\trespond 404\n}`;
  writeFileSync(file, `{\n${options.map((line) => `\t${line}`).join("\n")}\n}\n${idle}\n`);
  const command = [
    ...[caddy(), "docker-proxy", "--caddyfile-path", file, "--docker-sockets", `unix://${remote.socket}`],
    ...["--ingress-networks", network],
  ];
  const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
  const daemon = startDaemon("caddy", inside(...command), join(folder, "log"), env);
  return await ready(daemon, () => listens(remoteAddress, 443));
}

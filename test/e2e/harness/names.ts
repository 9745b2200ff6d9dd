import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { inside, type Remote, remoteAddress } from "./remote.ts";
import { tool } from "./tools.ts";

/** The second machine's name server, which its containers ask: everything below `domain` leads to the machine itself. */
export async function startNames(remote: Remote, domain: string): Promise<Daemon> {
  const pid = join(remote.folder, "dnsmasq.pid");
  const flags = ["--no-resolv", "--no-hosts", "--user=root", `--pid-file=${pid}`, "--bind-interfaces"];
  const address = [`--listen-address=${remoteAddress}`, `--address=/${domain}/${remoteAddress}`];
  const command = inside(tool("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", ...flags, ...address);
  const daemon = startDaemon("names", command, join(remote.folder, "names.log"));
  return await ready(daemon, () => existsSync(pid));
}

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { tool } from "./tools.ts";

/** The default socket: it is the sandbox's own. */
export const engineSocket = "/run/docker.sock";

/** Starts dockerd on the default socket with its data below `folder`. */
export async function startEngine(folder: string): Promise<Daemon> {
  mkdirSync(folder, { recursive: true });
  // cgroupfs: systemd would be asked about process ids of another namespace.
  const flags = ["--data-root", join(folder, "data"), "--exec-opt", "native.cgroupdriver=cgroupfs"];
  const daemon = startDaemon("dockerd", [tool("dockerd"), ...flags], join(folder, "dockerd.log"));
  return ready(daemon, async () => {
    const answer = await systemHttp.request("http://engine/_ping", { socketPath: engineSocket, timeoutMs: 2000 });
    return answer.status === 200;
  });
}

/** What the engine answers to a GET. */
export async function engineAnswer<T>(path: string): Promise<T> {
  const answer = await systemHttp.request(`http://engine${path}`, { socketPath: engineSocket });
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text()}`);
  return answer.json() as T;
}

/** Runs the docker client; throws with its output when it fails. */
export async function docker(...args: string[]): Promise<string> {
  const result = await systemExec.run(tool("docker"), args);
  if (result.exitCode === 0) return result.stdout.trim();
  throw new Error(`docker ${args.join(" ")}: exit ${result.exitCode}\n${result.stderr}`);
}

/** Names beside those of the machine, for this sandbox alone, and certificates that its engine trusts by registry name. */
export async function trustRegistries(
  folder: string,
  hosts: string,
  certificates: Record<string, string>,
): Promise<void> {
  const hostsFile = join(folder, "hosts");
  writeFileSync(hostsFile, hosts);
  const trusted = join(folder, "etc-docker");
  for (const [name, certificate] of Object.entries(certificates)) {
    mkdirSync(join(trusted, "certs.d", name), { recursive: true });
    writeFileSync(join(trusted, "certs.d", name, "ca.crt"), certificate);
  }
  mkdirSync("/etc/docker", { recursive: true });
  for (const [from, to] of [
    [hostsFile, "/etc/hosts"],
    [trusted, "/etc/docker"],
  ] as const) {
    const result = await systemExec.run("mount", ["--bind", from, to]);
    if (result.exitCode !== 0) throw new Error(`mount ${to}: ${result.stderr}`);
  }
}

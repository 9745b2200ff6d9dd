/**
 * A proxy in front of the second machine's previews that follows the labels of its containers: nginx for what Traefik
 * would read, a real Caddy for what its Docker plugin would read. Neither Traefik nor the plugin can be built from the
 * module proxy alone, so how they read labels is in nginx-proxy.ts and caddy-proxy.ts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemHttp } from "../../../src/system/http.ts";
import { makeAuthority } from "./authority.ts";
import { CaddyProxy } from "./caddy-proxy.ts";
import { type Daemon, ready, startDaemon, until } from "./daemon.ts";
import { NginxProxy } from "./nginx-proxy.ts";
import { inside, type Remote } from "./remote.ts";

/** A container as the engine lists it. */
export interface Entry {
  readonly Labels: Readonly<Record<string, string>>;
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

/** One program and its language. */
export interface ProxyProgram {
  readonly file: string;
  readonly command: readonly string[];
  configOf(entries: readonly Entry[]): string;
  isReady(): Promise<boolean>;
  reload(pid: number): Promise<void>;
}

export type ProxyName = "nginx" | "caddy";

export interface LabelProxy {
  /** PEM file of the authority that signs its certificates. */
  readonly caFile: string;
  stop(): Promise<void>;
}

/** Starts it; it looks at the engine every few milliseconds and loads what changed. */
export async function startLabelProxy(remote: Remote, domain: string, name: ProxyName): Promise<LabelProxy> {
  const folder = join(remote.folder, "proxy");
  await makeAuthority(folder, domain);
  const program: ProxyProgram = name === "caddy" ? new CaddyProxy(folder) : new NginxProxy(folder);
  let config = program.configOf([]);
  writeFileSync(program.file, config);
  const log = join(folder, "log");
  const daemon: Daemon = await ready(startDaemon(name, inside(...program.command), log), () => program.isReady());
  let over = false;
  const watch = (async (): Promise<void> => {
    while (!over) {
      await new Promise((done) => setTimeout(done, 100));
      const answer = await systemHttp
        .request("http://engine/containers/json", { socketPath: remote.socket, timeoutMs: 5000 })
        .catch(() => undefined);
      if (answer?.status !== 200) continue;
      const found = program.configOf(answer.json() as Entry[]);
      if (found === config) continue;
      config = found;
      writeFileSync(program.file, config);
      await program.reload(daemon.child.pid ?? 0);
    }
  })();
  // Shown when it is stopped.
  watch.catch(() => undefined);
  return {
    caFile: join(folder, "ca.pem"),
    stop: async () => {
      over = true;
      await watch.catch((error: unknown) => {
        throw new Error(`${name} did not take what it should:\n${config}\n${readFileSync(log, "utf8").slice(-2000)}`, {
          cause: error,
        });
      });
      daemon.child.kill("SIGTERM");
      await until("the proxy has ended", () => daemon.child.exitCode !== null || daemon.child.signalCode !== null);
    },
  };
}

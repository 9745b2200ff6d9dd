import { findEngine, transportOf } from "../backend/docker/address.ts";
import { connectEngine, type Engine } from "../backend/docker/engine.ts";
import { isLoopback } from "../backend/docker/origins.ts";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { PreviewInputs } from "./inputs.ts";
import { parseSshAddress } from "./ssh/address.ts";
import { openSsh } from "./ssh/connection.ts";

/** An engine and what belongs to the way there. */
export interface Place {
  readonly engine: Engine;
  /** What others call the machine; for `proxy: none`. */
  readonly host: string;
  close(): Promise<void>;
}

type HostInputs = Pick<PreviewInputs, "host" | "sshKey" | "knownHosts">;

/** An address as it is, a context's, or what the `docker` command would use. */
function addressOf(host: string | undefined, deps: Deps): string {
  if (host === undefined) return findEngine(deps.env, deps.platform);
  if (/^[a-z]+:\/\//.test(host)) {
    const secure = host.startsWith("tcp://") && deps.env["DOCKER_CERT_PATH"] && deps.env["DOCKER_TLS_VERIFY"];
    return secure ? `${host}#${deps.env["DOCKER_CERT_PATH"]}` : host;
  }
  return findEngine({ ...deps.env, DOCKER_HOST: undefined, DOCKER_CONTEXT: host }, deps.platform);
}

/**
 * Connects to the engine that the input `host` names.
 * @param save is told the folder of the connection's files before a secret is in it
 * @throws ActionError those of `connectEngine` and `openSsh`, `input-missing`, `ssh-engine-missing`, `ssh-engine-forbidden`, `ssh-forwarding-refused`
 */
export async function openPlace(inputs: HostInputs, save: (folder: string) => void, deps: Deps): Promise<Place> {
  const address = addressOf(inputs.host, deps);
  if (!address.startsWith("ssh://")) {
    const engine = await connectEngine(deps, address);
    const host = transportOf(address).host;
    return { engine, host: host === undefined || isLoopback(host) ? "127.0.0.1" : host, close: async () => {} };
  }
  const ssh = parseSshAddress(address);
  const { sshKey, knownHosts } = inputs;
  if (sshKey === undefined || knownHosts.trim() === "") {
    throw new ActionError(
      "input-missing",
      `The Docker engine is at ${ssh.where}, but ssh-key or known-hosts is empty.`,
      "Set both; keys and known hosts of this machine's user are not used.",
    );
  }
  const connection = await openSsh(ssh, { key: sshKey, knownHosts }, save, deps);
  try {
    const engine = await connectEngine(deps, connection.engine, ssh.where).catch(async (error: unknown) => {
      throw (await connection.explain().catch(() => undefined)) ?? error;
    });
    return { engine, host: ssh.host, close: () => connection.close() };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

import { existsSync } from "node:fs";
import { connect } from "node:net";
import { ActionError, systemCode } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import type { SshAddress } from "./address.ts";
import { sshFailure } from "./failure.ts";
import { makeFolder, removeFiles, type SshFiles, writeFiles } from "./files.ts";

/** One connection to another machine, over which its engine's socket is one of ours. */
export interface SshConnection {
  /** For `connectEngine`. */
  readonly engine: string;
  /** Why the engine cannot be used over it, where the other machine can tell. */
  explain(): Promise<ActionError | undefined>;
  close(): Promise<void>;
}

export interface SshLogin {
  readonly key: string;
  readonly knownHosts: string;
}

/** Authentication included; a server behind a slow link takes a few seconds. */
const PATIENCE_MS = 45_000;
const CONNECT_S = 20;
const POLL_MS = 20;

/** Nothing of this machine's or user's own configuration counts: no agent, no other keys, no other known hosts. */
function options({ key, knownHosts, control }: SshFiles): string[] {
  const settings = {
    BatchMode: "yes",
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: knownHosts,
    GlobalKnownHostsFile: "/dev/null",
    UpdateHostKeys: "no",
    IdentitiesOnly: "yes",
    IdentityAgent: "none",
    IdentityFile: key,
    PreferredAuthentications: "publickey",
    ForwardAgent: "no",
    ForwardX11: "no",
    PermitLocalCommand: "no",
    ConnectTimeout: String(CONNECT_S),
    ServerAliveInterval: "15",
    ServerAliveCountMax: "4",
    ControlPath: control,
  };
  return ["-F", "none", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

function destination({ user, host, port }: SshAddress): string[] {
  return ["-p", String(port), "-l", user, "--", host];
}

/**
 * Connects once, by the system's `ssh`, and forwards the engine's socket. `save` is told the folder before anything
 * secret is in it.
 * @throws ActionError `ssh-missing`, `ssh-key-invalid`, `known-hosts-invalid`, `ssh-host-key-unknown`, `ssh-host-key-changed`, `ssh-key-refused`, `ssh-unreachable`, `ssh-failed`
 */
export async function openSsh(
  address: SshAddress,
  login: SshLogin,
  save: (folder: string) => void,
  deps: Deps,
): Promise<SshConnection> {
  const files = await makeFolder(deps);
  save(files.folder);
  const over = new AbortController();
  try {
    await writeFiles(files, login.key, login.knownHosts);
    const master = new Master(address, files, over.signal, deps);
    await master.ready();
    return {
      engine: `unix://${files.socket}`,
      explain: () => explain(address, files, deps),
      close: async () => {
        over.abort(new Error("no longer needed"));
        await master.ended;
        await removeFiles(files.folder);
      },
    };
  } catch (error) {
    over.abort(new Error("the connection failed"));
    await removeFiles(files.folder);
    throw error;
  }
}

/** The ssh process that holds the connection. */
class Master {
  /** Never rejects. */
  readonly ended: Promise<void>;
  readonly #address: SshAddress;
  readonly #files: SshFiles;
  readonly #deps: Deps;
  readonly #said: string[] = [];
  #over: { readonly error?: unknown } | undefined;

  constructor(address: SshAddress, files: SshFiles, signal: AbortSignal, deps: Deps) {
    this.#address = address;
    this.#files = files;
    this.#deps = deps;
    const args = [
      ...options(files),
      ...["-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-o", "ExitOnForwardFailure=yes"],
      ...["-L", `${files.socket}:${address.socket}`, "-N", "-T"],
      ...destination(address),
    ];
    const onLine = (line: string): void => void this.#said.push(line);
    this.ended = deps.exec.run("ssh", args, { signal, onLine }).then(
      () => {
        this.#over = {};
      },
      (error: unknown) => {
        this.#over = { error };
      },
    );
  }

  /** Resolves once the forwarded socket takes connections: ssh makes it after it has logged in. */
  async ready(): Promise<void> {
    const { clock } = this.#deps;
    const end = clock.now() + PATIENCE_MS;
    while (!(await accepts(this.#files.socket))) {
      if (this.#over !== undefined) throw await this.#failure(this.#over.error);
      if (clock.now() > end) throw await sshFailure(this.#address, [...this.#said, "Connection timed out"], this.#deps);
      await clock.sleep(POLL_MS);
    }
  }

  async #failure(error: unknown): Promise<unknown> {
    if (systemCode(error) === "ENOENT") {
      return new ActionError(
        "ssh-missing",
        `host: ${this.#address.where} needs the program ssh, which this machine has not.`,
        "Install the OpenSSH client (apt-get install openssh-client), or use a runner that has it.",
        { cause: error },
      );
    }
    if (error !== undefined) return error;
    for (const line of this.#said) this.#deps.log.debug(`ssh: ${line}`);
    return await sshFailure(this.#address, this.#said, this.#deps);
  }
}

function accepts(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Asks over the same connection what the user may do with the engine's socket. */
async function explain(address: SshAddress, files: SshFiles, deps: Deps): Promise<ActionError | undefined> {
  const { socket, where, user } = address;
  const script = `if [ ! -S ${socket} ]; then echo missing; elif [ ! -w ${socket} ]; then echo forbidden; else echo there; fi`;
  const args = [...options(files), "-o", "ControlMaster=no", "-T", ...destination(address), script];
  const result = await deps.exec.run("ssh", args, { timeoutMs: 20_000 });
  switch (result.stdout.trim()) {
    case "missing":
      return new ActionError(
        "ssh-engine-missing",
        `${where} has no Docker engine at ${socket}.`,
        "Install or start Docker there, or name its socket in host: ssh://user@host/run/user/1000/docker.sock.",
      );
    case "forbidden":
      return new ActionError(
        "ssh-engine-forbidden",
        `User ${user} may not use the Docker engine on ${where} (${socket}).`,
        `Add that user to the group docker there (usermod -aG docker ${user}): who is in it can do everything on that machine.`,
      );
    case "there":
      return new ActionError(
        "ssh-forwarding-refused",
        `${where} does not let its Docker socket be forwarded: sshd forbids it, or the engine does not answer.`,
        "Set AllowStreamLocalForwarding yes (and no permitopen or restrict for this key) in sshd's configuration, and check docker info there.",
      );
    default:
      return undefined;
  }
}

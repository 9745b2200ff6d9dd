/**
 * The end-to-end tests run in namespaces of their own: their network holds nothing but what they start (no way out, every
 * port free), their /run holds only their Docker engine's socket, and when the first process ends everything ends with
 * it. So nothing here disturbs, or is disturbed by, the machine it runs on.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { tool } from "./tools.ts";

/** An address of this network that is no loopback: Docker checks the certificates of registries there. */
export const outsideAddress = "10.213.0.1";

// bash stays as process 1: it reaps orphans, as a machine's init does; node would leave them as zombies.
const prepare = `
set -e
ip link set lo up
ip address add ${outsideAddress}/32 dev lo
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/sshd
set +e
"$@"
exit $?
`;

/** Runs a command in fresh namespaces and resolves with its exit code. Needs Linux and root. */
export function runInSandbox(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new Error("The end-to-end tests need Linux and root (namespaces, a Docker engine of their own).");
  }
  const flags = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "slave"];
  const child = spawn(tool("unshare"), [...flags, "bash", "-c", prepare, "bash", ...command], {
    stdio: ["ignore", "inherit", "inherit"],
    env,
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill("SIGKILL"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

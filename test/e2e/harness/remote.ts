/**
 * A second machine for the tests, as far as one kernel gives one: a network namespace of its own with an address of its
 * own, a /run of its own, and in it a Docker engine on the default socket and an SSH server. Nothing that it publishes
 * is on the loopback of the tests.
 */
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { tool } from "./tools.ts";
import { world } from "./world.ts";

/** A new name each time: the kernel takes a namespace down when its last process is gone, some time after it was asked to. */
let space = "";
let starts = 0;
export const remoteAddress = "10.99.0.2";
const ownAddress = "10.99.0.1";

export interface Remote {
  /** For the input `host`. */
  readonly host: string;
  /** A user there who may log in and may not use Docker. */
  readonly weakHost: string;
  readonly key: string;
  readonly otherKey: string;
  readonly knownHosts: string;
  readonly folder: string;
  /** The engine's socket as the tests reach it past SSH. */
  readonly socket: string;
  /** Runs the docker client against it. */
  docker(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

async function run(command: string, ...args: string[]): Promise<string> {
  const result = await systemExec.run(command, args);
  if (result.exitCode !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${result.exitCode}\n${result.stderr}`);
  return result.stdout.trim();
}

/** A command line that runs in the other machine's network. */
export function inside(...command: string[]): string[] {
  return [tool("nsenter"), `--net=/run/netns/${space}`, ...command];
}

async function makeNetwork(): Promise<void> {
  const ip = tool("ip");
  starts += 1;
  space = `remote-${process.pid}-${starts}`;
  // The former one's, if it is still being taken down.
  await systemExec.run(ip, ["link", "delete", "rh0"]);
  await run(ip, "netns", "add", space);
  await run(ip, "link", "add", "rh0", "type", "veth", "peer", "name", "rh1", "netns", space);
  await run(ip, "address", "add", `${ownAddress}/30`, "dev", "rh0");
  await run(ip, "link", "set", "rh0", "up");
  for (const args of [
    ["link", "set", "lo", "up"],
    ["address", "add", `${remoteAddress}/30`, "dev", "rh1"],
    ["link", "set", "rh1", "up"],
    ["route", "add", "default", "via", ownAddress],
  ]) {
    await run(ip, "netns", "exec", space, "ip", ...args);
  }
}

async function makeKey(folder: string, name: string): Promise<string> {
  const file = join(folder, name);
  await run(tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file);
  return file;
}

/** Users of the sandbox beside those of the machine: one who may use Docker, and one who may not. */
async function addUsers(folder: string): Promise<void> {
  const docker = /^docker:[^:]*:(\d+):/m.exec(readFileSync("/etc/group", "utf8"))?.[1];
  if (docker === undefined) throw new Error("no group docker: its package makes one");
  for (const [file, lines] of [
    ["/etc/passwd", ["weak:x:4711:4711::/:/bin/sh", `deploy:x:4712:${docker}::/:/bin/sh`]],
    ["/etc/shadow", ["weak:*:19000:0:99999:7:::", "deploy:*:19000:0:99999:7:::"]],
    ["/etc/group", ["weak:x:4711:"]],
  ] as const) {
    const text = readFileSync(file, "utf8");
    if (text.includes("\nweak:")) continue;
    const copy = join(folder, file.slice(5));
    writeFileSync(copy, [text.trimEnd(), ...lines, ""].join("\n"), { mode: 0o644 });
    await run("mount", "--bind", copy, file);
  }
}

function sshdConfig(folder: string): string {
  return [
    "Port 22",
    `ListenAddress ${remoteAddress}`,
    `HostKey ${join(folder, "hostkey")}`,
    // Where users without a home may read it, too.
    "AuthorizedKeysFile /run/sshd/authorized_keys",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "PidFile none",
    "LogLevel VERBOSE",
    "MaxStartups 200:30:400",
    "",
  ].join("\n");
}

/** Whether a connection can be made. */
export function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Starts it; `stop` ends it with everything that runs there. One at a time. */
export async function startRemote(): Promise<Remote> {
  const folder = mkdtempSync(join(world().scratch, "remote-"));
  chmodSync(folder, 0o755);
  await makeNetwork();
  const [key, otherKey, hostKey] = [
    await makeKey(folder, "id"),
    await makeKey(folder, "other"),
    await makeKey(folder, "hostkey"),
  ];
  writeFileSync(join(folder, "sshd_config"), sshdConfig(folder));
  await addUsers(folder);
  const socket = join(folder, "docker.sock");
  const script = [
    "mount -t tmpfs tmpfs /run",
    "mkdir -p /run/sshd",
    `cp ${folder}/id.pub /run/sshd/authorized_keys`,
    `dockerd -H unix:///run/docker.sock -H unix://${socket} --data-root ${folder}/data --exec-root ${folder}/exec --pidfile ${folder}/dockerd.pid --exec-opt native.cgroupdriver=cgroupfs --dns ${remoteAddress} >${folder}/dockerd.log 2>&1 &`,
    "engine=$!",
    `${tool("sshd")} -D -f ${folder}/sshd_config -E ${folder}/sshd.log &`,
    "sshd=$!",
    "trap 'kill $sshd $engine' TERM",
    // The first wait ends by the signal.
    "wait; wait $engine",
    `umount ${folder}/exec/netns/* 2>/dev/null`,
  ].join("\n");
  const command = inside(tool("unshare"), "--mount", "--propagation", "slave", "bash", "-c", script);
  const daemon: Daemon = await ready(startDaemon("remote host", command, join(folder, "host.log")), async () => {
    const answer = await systemHttp.request("http://engine/_ping", { socketPath: socket, timeoutMs: 2000 });
    return answer.status === 200 && (await listens(remoteAddress, 22));
  });
  const [, type = "", text = ""] = /^(\S+) (\S+)/.exec(readFileSync(`${hostKey}.pub`, "utf8")) ?? [];
  return {
    host: `ssh://root@${remoteAddress}`,
    weakHost: `ssh://weak@${remoteAddress}`,
    key: readFileSync(key, "utf8"),
    otherKey: readFileSync(otherKey, "utf8"),
    knownHosts: `${remoteAddress} ${type} ${text}\n`,
    folder,
    socket,
    docker: (...args) => run(tool("docker"), "-H", `unix://${socket}`, ...args),
    stop: async () => {
      await daemon.stop();
      await systemExec.run(tool("ip"), ["link", "delete", "rh0"]);
      await run(tool("ip"), "netns", "delete", space);
    },
  };
}

/** Further names of this sandbox, for one address. */
export function addHosts(address: string, names: readonly string[]): void {
  appendFileSync("/etc/hosts", `${address} ${names.join(" ")}\n`);
}

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { basename } from "node:path";
import { systemCode } from "../runner/errors.ts";
import type { Deps } from "./deps.ts";

/**
 * Ports that nothing listens on at `host` now, all different. They are not held: another process may take one before
 * it is used, so be ready to ask again. Chosen below the range that the kernel gives to outgoing connections (32768
 * and up on Linux, 49152 elsewhere), where such a race would be likely on a busy machine.
 */
export async function freePorts(count: number, host = "127.0.0.1"): Promise<number[]> {
  const found: number[] = [];
  for (let tries = 0; found.length < count && tries < 200; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    if (!found.includes(port) && (await isFree(port, host))) found.push(port);
  }
  return found;
}

/** Whether this process could listen there. An address that is not this machine's is tried on the loopback instead. */
export async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, port, host);
    return true;
  } catch (error) {
    return systemCode(error) === "EADDRNOTAVAIL" && host !== "127.0.0.1" && (await isFree(port, "127.0.0.1"));
  } finally {
    server.close();
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, exclusive: true }, resolve);
  });
}

/**
 * Who listens on a TCP port of this machine, for an error message: `process nginx (pid 812)`, or `a process of another
 * user`. Undefined where that cannot be told.
 * @param root where /proc is (for tests)
 */
export async function whoHolds(
  port: number,
  deps: Pick<Deps, "exec" | "platform">,
  root = "/proc",
): Promise<string | undefined> {
  if (deps.platform === "linux") return linuxHolder(port, root);
  if (deps.platform === "darwin") return await darwinHolder(port, deps);
  return undefined;
}

/** proc(5): the sockets in net/tcp carry inodes, and the open files of each process link to them. */
function linuxHolder(port: number, root: string): string | undefined {
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeningInodes(`${root}/net/${table}`, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync(root).filter((name) => /^\d+$/.test(name))) {
    if (openSockets(`${root}/${pid}/fd`).some((inode) => inodes.has(inode))) {
      return `process ${commandOf(`${root}/${pid}`)} (pid ${pid})`;
    }
  }
  return "a process of another user";
}

function listeningInodes(file: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readLines(file).flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    return local.endsWith(suffix) && state === "0A" && inode !== undefined ? [inode] : [];
  });
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}

function openSockets(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))?.[1] ?? []);
  } catch {
    return [];
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return "";
  }
}

/** The program's name alone: arguments may hold secrets. */
function commandOf(folder: string): string {
  const [program = ""] = readLines(`${folder}/cmdline`)[0]?.split("\0") ?? [];
  return basename(program) || "unknown";
}

async function darwinHolder(port: number, { exec }: Pick<Deps, "exec">): Promise<string | undefined> {
  const { stdout } = await exec.run("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"], { timeoutMs: 5000 });
  const [, pid, command] = /^p(\d+)\nc(.+)$/m.exec(stdout) ?? [];
  return pid === undefined ? undefined : `process ${command} (pid ${pid})`;
}

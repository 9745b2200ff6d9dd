import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Deps } from "../../../src/system/deps.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { freePorts, isFree, whoHolds } from "../../../src/system/ports.ts";

async function listening(host: string): Promise<number> {
  const server = createServer((socket) => void socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("freePorts", () => {
  it("finds different ones that can be listened on", async () => {
    const ports = await freePorts(4);
    expect(new Set(ports).size).toBe(4);
    for (const port of ports) expect(await isFree(port, "127.0.0.1")).toBe(true);
  });

  it("tries the loopback for an address of another machine", async () => {
    expect(await freePorts(1, "192.0.2.77")).toHaveLength(1);
  });
});

describe("isFree", () => {
  it("sees who listens on the same address and on all", async () => {
    expect(await isFree(await listening("127.0.0.1"), "127.0.0.1")).toBe(false);
    expect(await isFree(await listening("0.0.0.0"), "127.0.0.1")).toBe(false);
  });
});

const machine = (platform: NodeJS.Platform, stdout = ""): Pick<Deps, "exec" | "platform"> => ({
  platform,
  exec: { run: async () => ({ exitCode: 0, stdout, stderr: "", timedOut: false }) },
});

describe("whoHolds", () => {
  it.runIf(process.platform === "linux")("names the process that listens", async () => {
    const port = await listening("127.0.0.1");
    expect(await whoHolds(port, { platform: "linux", exec: systemExec })).toMatch(
      new RegExp(`^process \\S+ \\(pid ${process.pid}\\)$`),
    );
  });

  it("reads the kernel's tables, IPv6 too, and never arguments", async () => {
    const root = mkdtempSync(join(tmpdir(), "proc-"));
    onTestFinished(() => rmSync(root, { recursive: true }));
    mkdirSync(join(root, "net"));
    mkdirSync(join(root, "77", "fd"), { recursive: true });
    const row = (local: string, state: string, inode: number): string =>
      `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0`;
    writeFileSync(join(root, "net", "tcp"), ["  sl  local_address", row("0100007F:0C8A", "01", 1), ""].join("\n"));
    writeFileSync(
      join(root, "net", "tcp6"),
      ["  sl", row("00000000000000000000000000000000:0C8A", "0A", 2)].join("\n"),
    );
    expect(await whoHolds(3210, machine("linux"), root)).toBe("a process of another user");
    symlinkSync("socket:[2]", join(root, "77", "fd", "3"));
    writeFileSync(join(root, "77", "cmdline"), "/usr/sbin/nginx\0--password\0secret\0");
    expect(await whoHolds(3210, machine("linux"), root)).toBe("process nginx (pid 77)");
    expect(await whoHolds(3211, machine("linux"), root)).toBeUndefined();
  });

  it("asks lsof on macOS, and says nothing on Windows", async () => {
    expect(await whoHolds(3210, machine("darwin", "p812\ncnode\nf22\n"))).toBe("process node (pid 812)");
    expect(await whoHolds(3210, machine("darwin"))).toBeUndefined();
    expect(await whoHolds(3210, machine("win32"))).toBeUndefined();
  });
});

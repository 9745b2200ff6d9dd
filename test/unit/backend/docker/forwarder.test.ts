import { spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { withForwards } from "../../../../src/backend/docker/forwarder.ts";
import { systemHttp } from "../../../../src/system/http.ts";
import { freePorts } from "../../../../src/system/ports.ts";
import { scratch } from "./support.ts";

const image = { entrypoint: ["./run_backend.sh"], cmd: ["--flag", "a b"] };

describe("withForwards", () => {
  it("leaves the image's own entry point alone when nothing has to be forwarded", () => {
    expect(withForwards([], image)).toBeUndefined();
  });

  it("passes the image's program and arguments on as they are", () => {
    const entry = withForwards([{ host: "127.0.0.1", port: 1, target: 2 }], image);
    expect(entry?.cmd).toEqual(["./run_backend.sh", "--flag", "a b"]);
  });

  // The wrapper wants a shell, as the image has one.
  it.skipIf(process.platform === "win32")("becomes the program itself, with a forwarder beside it", async () => {
    const backend = createServer((request, response) => response.end(`seen ${request.url}`));
    await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void backend.close());
    const folder = scratch();
    writeFileSync(join(folder, "program"), '#!/bin/sh\necho "$$ $*"\nexec sleep 60\n');
    chmodSync(join(folder, "program"), 0o755);
    const [port = 0] = await freePorts(1);
    const target = (backend.address() as AddressInfo).port;
    const entry = withForwards([{ host: "127.0.0.1", port, target }], { entrypoint: ["./program"], cmd: ["a b", "c"] });
    const [shell = "", ...args] = [...(entry?.entrypoint ?? []), ...(entry?.cmd ?? [])];
    const path = `${join(process.execPath, "..")}:/usr/bin:/bin`;
    const child = spawn(shell, args, {
      cwd: folder,
      detached: true,
      env: { PATH: path },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void process.kill(-(child.pid ?? 0), "SIGKILL"));
    const line = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
    expect(line).toBe(`${child.pid} a b c\n`);
    await expect
      .poll(() => systemHttp.request(`http://127.0.0.1:${port}/x`).then((answer) => answer.text(), String), {
        timeout: 10_000,
      })
      .toBe("seen /x");
  });
});

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Health, Target } from "../../../src/preview/target.ts";
import { type Public, waitInPublic } from "../../../src/preview/wait.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { testDeps } from "../backend/docker/support.ts";

const WELL: Health = { running: true, answers: true, restarts: 0, outOfMemory: false, log: [] };

function targetWith(health: Partial<Health>): Target {
  const no = async (): Promise<never> => {
    throw new Error("not asked for here");
  };
  return {
    where: "ssh://deploy@host",
    apply: no,
    confirm: no,
    selfCheck: no,
    find: no,
    remove: no,
    list: no,
    close: async () => undefined,
    health: async () => ({ ...WELL, ...health }),
  };
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function wanted(cloud: string, site = cloud): Public {
  const key = (format: string): string => `pr-1|${format}`;
  return { name: "pr-1", instanceName: "pr-1", origins: { cloud, site }, timeoutMs: 20_000, key };
}

/** A backend's answers, as far as they are asked for. */
const backend =
  (name = "pr-1", takes = "current"): RequestListener =>
  (request, response) => {
    if (request.url === "/version") return void response.end("unknown");
    if (request.url === "/instance_name") return void response.end(name);
    const good = request.headers.authorization === `Convex pr-1|${takes}`;
    response.writeHead(good ? 200 : 401, { "content-type": "application/json" });
    response.end(JSON.stringify(good ? { success: true } : { code: "BadAdminKey", message: "no" }));
  };

describe("waitInPublic", () => {
  it("ends once the preview answers under its own name and takes its key", async () => {
    let calls = 0;
    const url = await serve((request, response) => {
      calls += 1;
      if (calls > 3) return backend()(request, response);
      response.writeHead(502).end("<html>Bad Gateway</html>");
    });
    const { adminKey } = await waitInPublic(targetWith({}), wanted(url), testDeps());
    expect(adminKey).toBe("pr-1|current");
  });

  it("goes on with a key of the legacy format where only that is taken", async () => {
    const url = await serve(backend("pr-1", "legacy"));
    expect(await waitInPublic(targetWith({}), wanted(url), testDeps())).toMatchObject({ adminKey: "pr-1|legacy" });
  });

  it("refuses another backend at that name before it shows it the key", async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      backend("pr-2")(request, response);
    });
    await expect(waitInPublic(targetWith({}), wanted(url), testDeps())).rejects.toMatchObject({
      code: "other-instance",
    });
    expect(seen.filter((header) => header !== undefined)).toEqual([]);
  });

  it.each<[string, string, () => Promise<string>]>([
    ["DNS", "preview-dns", async () => "https://pr-1.nowhere.invalid"],
    ["the connection", "preview-proxy", async () => `http://127.0.0.1:${(await freePorts(1))[0]}`],
    ["TLS", "preview-tls", async () => (await serve(backend())).replace("http:", "https:")],
    ["the route", "preview-route", () => serve((_, response) => response.writeHead(404).end("404 page not found"))],
    ["the page", "preview-route", () => serve((_, response) => response.end("<!doctype html>Welcome"))],
  ])("says that it is %s that does not hold, when the preview itself is well", async (_, code, url) => {
    await expect(waitInPublic(targetWith({}), wanted(await url()), testDeps())).rejects.toMatchObject({
      code,
      message: expect.stringContaining("runs on its host and answers there"),
    });
  });

  it.each<[string, Partial<Health>, RegExp]>([
    [
      "started again and again",
      { answers: false, restarts: 3, outOfMemory: true },
      /started again 3 times, out of memory/,
    ],
    ["ended", { answers: false, running: false, exitCode: 1 }, /does not run; it ended with exit code 1/],
    ["silent", { answers: false }, /runs and did not answer within 20 s/],
  ])("says that the backend is %s, with its log", async (_, health, message) => {
    const url = await serve((_request, response) => response.writeHead(502).end());
    const deps = testDeps();
    const log = ["Error: database is locked"];
    await expect(waitInPublic(targetWith({ ...health, log }), wanted(url), deps)).rejects.toMatchObject({
      code: "preview-backend",
      message: expect.stringMatching(message),
    });
    expect(deps.lines).toContainEqual({ level: "foreign", message: log[0] });
  });
});

import { describe, expect, it, onTestFinished } from "vitest";
import type { Ended, RunningBackend } from "../../../src/backend/backend.ts";
import { type BinaryState, startBinary } from "../../../src/backend/binary.ts";
import { stopBinary } from "../../../src/backend/binary-stop.ts";
import { waitUntilReady } from "../../../src/backend/readiness.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { fakeBackend, machine, SECRET, serve, specOf, temporary } from "./support.ts";

const CURRENT = { instanceName: "lab", adminKey: "lab|01current", timeoutMs: 10_000, secrets: [SECRET] };

async function running(fake: string) {
  const temp = await temporary();
  const { deps, told } = machine();
  const [port = 0, sitePort = 0] = await freePorts(2);
  let state: BinaryState | undefined;
  const spec = specOf({ port, sitePort, backendEnv: { FAKE: fake } });
  const place = { executable: await fakeBackend(temp), owner: `ready-${port}`, temp };
  onTestFinished(async () => {
    if (state !== undefined) await stopBinary(state, deps);
  });
  const backend = await startBinary(
    spec,
    place,
    (next) => {
      state = next as BinaryState;
    },
    deps,
  );
  return { backend, deps, told };
}

/** A backend that is only an address. */
function at(url: string, siteUrl = url, ended: Promise<Ended> = new Promise(() => undefined)): RunningBackend {
  return {
    url,
    siteUrl,
    cloudOrigin: url,
    siteOrigin: siteUrl,
    ended,
    logs: async () => [`token?token=abc ${SECRET}`],
    detach: () => undefined,
  };
}

describe("waitUntilReady", () => {
  it("proves name, key and site port", async () => {
    const { backend, deps } = await running("");
    expect(await waitUntilReady(backend, CURRENT, deps)).toMatchObject({
      instanceName: "lab",
      adminKey: "lab|01current",
      legacy: false,
    });
  });

  it("takes a key in the legacy format where the current one is refused, and masks it", async () => {
    const { backend, deps, told } = await running("legacy");
    const ready = await waitUntilReady(backend, { ...CURRENT, legacyKey: () => "lab|0102legacy" }, deps);
    expect(ready).toMatchObject({ adminKey: "lab|0102legacy", legacy: true });
    expect(told.masked).toEqual(["lab|0102legacy"]);
  });

  it("gives up when both keys are refused", async () => {
    const { backend, deps } = await running("");
    const wish = { ...CURRENT, adminKey: "lab|01other", legacyKey: () => "lab|01another" };
    await expect(waitUntilReady(backend, wish, deps)).rejects.toMatchObject({ code: "admin-key-rejected" });
  });

  it("asks for the identity only once the backend answers", async () => {
    const { backend, deps } = await running("");
    const { secrets, timeoutMs } = CURRENT;
    let answered = false;
    const key = async () => {
      answered = (await deps.http.request(`${backend.url}/version`)).status === 200;
      return { instanceName: "lab", adminKey: "lab|01current" };
    };
    expect(await waitUntilReady(backend, { key, secrets, timeoutMs }, deps)).toMatchObject({
      instanceName: "lab",
      legacy: false,
    });
    expect(answered).toBe(true);
  });

  it("ends at once when the backend has ended, with its last lines", async () => {
    const { backend, deps, told } = await running("exit-secret");
    const failure = waitUntilReady(backend, CURRENT, deps);
    await expect(failure).rejects.toMatchObject({
      code: "backend-exited",
      message: expect.stringMatching(
        /^The backend stopped \d\.\d s after its start, with exit code 1: the instance secret is not 64 hex digits\.$/,
      ),
    });
    expect(told.foreign).toContain("Error: Couldn't hexdecode key");
    expect(told.foreign.join("\n")).not.toContain(SECRET);
  });

  it("takes an end with exit code 0 for a failure too", async () => {
    const { backend, deps } = await running("disk-full");
    await expect(waitUntilReady(backend, CURRENT, deps)).rejects.toThrow(/with exit code 0: the disk is full/);
  });

  it("names the last state seen when the time is up", async () => {
    const { backend, deps, told } = await running("never-ready");
    await expect.poll(() => backend.logs(1)).not.toEqual([]);
    const failure = waitUntilReady(backend, { ...CURRENT, timeoutMs: 1500 }, deps);
    await expect(failure).rejects.toMatchObject({
      code: "backend-not-ready",
      message: expect.stringMatching(
        /within 1\.5 s; last seen: GET http:\/\/127\.0\.0\.1:(\d+)\/version: connect ECONNREFUSED 127\.0\.0\.1:\1\.$/,
      ),
      hint: expect.stringMatching(/^Read its log above/),
    });
    expect(told.foreign.length).toBeGreaterThan(0);
  });

  it("names who answers instead", async () => {
    const { backend, deps } = await running("other-name");
    await expect(waitUntilReady(backend, CURRENT, deps)).rejects.toMatchObject({
      code: "other-instance",
      message: expect.stringContaining('the Convex instance "other"'),
    });
    const page = await serve((_, response) => response.end("<html>Not Convex</html>"));
    await expect(waitUntilReady(at(page), CURRENT, deps)).rejects.toThrow(/something else/);
  });

  it("tells that the port was lost when the own backend ends of it", async () => {
    const { backend: other, deps } = await running("other-name");
    await expect
      .poll(() =>
        deps.http.request(`${other.url}/version`).then(
          (a) => a.status,
          () => 0,
        ),
      )
      .toBe(200);
    const ended = new Promise<Ended>((resolve) =>
      setTimeout(resolve, 50, { exitCode: 1, signal: null, outOfMemory: false }),
    );
    const lost: RunningBackend = {
      ...at(other.url, other.siteUrl, ended),
      logs: async () => ["Error: Could not start backend on 127.0.0.1:3210"],
    };
    await expect(waitUntilReady(lost, CURRENT, deps)).rejects.toMatchObject({ code: "port-taken" });
  });

  it("takes resets for not yet", async () => {
    let tries = 0;
    const url = await serve((request, response) => {
      tries += 1;
      if (tries < 4) return void request.socket.destroy();
      response.end(request.url === "/instance_name" ? "lab" : "{}");
    });
    expect(await waitUntilReady(at(url), CURRENT, machine().deps)).toMatchObject({ legacy: false });
  });

  it.each([
    ["/version", 500],
    ["/version", "reset"],
    ["/instance_name", 503],
    ["/api/check_admin_key", 429],
    ["/api/check_admin_key", 503],
    ["/api/check_admin_key", "reset"],
  ] as const)("takes %s answered with %s for not yet", async (path, fault) => {
    let faults = 0;
    const url = await serve((request, response) => {
      if (request.url === path && faults < 3) {
        faults += 1;
        if (fault === "reset") return void request.socket.destroy();
        response.statusCode = fault;
        return void response.end();
      }
      response.end(request.url === "/instance_name" ? "lab" : "{}");
    });
    expect(await waitUntilReady(at(url), CURRENT, machine().deps)).toMatchObject({ adminKey: CURRENT.adminKey });
    expect(faults).toBe(3);
  });

  it("says where a status came from, and points to no log that is empty", async () => {
    const url = await serve((_, response) => {
      response.statusCode = 502;
      response.end();
    });
    const silent = { ...at(url), logs: async () => [] };
    await expect(waitUntilReady(silent, { ...CURRENT, timeoutMs: 1500 }, machine().deps)).rejects.toMatchObject({
      message: `The backend runs, and was not ready within 1.5 s; last seen: ${url}/version: answers 502.`,
      hint: expect.stringMatching(/^Raise ready-timeout/),
    });
  });

  it("waits for the site port", async () => {
    const url = await serve((request, response) => response.end(request.url === "/instance_name" ? "lab" : "{}"));
    const [sitePort = 0] = await freePorts(1);
    const waiting = waitUntilReady(
      at(url, `http://127.0.0.1:${sitePort}`),
      { ...CURRENT, timeoutMs: 1500 },
      machine().deps,
    );
    await expect(waiting).rejects.toThrow(new RegExp(`last seen: GET http://127\\.0\\.0\\.1:${sitePort}/version`));
  });

  it("shows no secret in the lines it prints", async () => {
    const { deps, told } = machine();
    const [port = 0] = await freePorts(1);
    await waitUntilReady(at(`http://127.0.0.1:${port}`), { ...CURRENT, timeoutMs: 50 }, deps).catch(() => undefined);
    expect(told.foreign).toEqual(["token?token=*** ***"]);
  });
});

import { describe, expect, it } from "vitest";
import { connectEngine } from "../../../../src/backend/docker/engine.ts";
import { watch } from "../../../../src/backend/docker/watch.ts";
import { type Answer, fakeEngine, testDeps } from "./support.ts";

async function ending(waits: Answer[], state?: object) {
  const { address } = await fakeEngine(({ path }) =>
    path === "/containers/c/wait" ? waits.shift() : state && { json: { Id: "c", State: state } },
  );
  const deps = testDeps();
  return watch(await connectEngine(deps, address), "c", deps);
}

describe("watch", () => {
  it.each([
    [0, {}, { exitCode: 0, signal: null, outOfMemory: false }],
    [1, {}, { exitCode: 1, signal: null, outOfMemory: false }],
    [134, {}, { exitCode: null, signal: "SIGABRT", outOfMemory: false }],
    [137, { OOMKilled: true }, { exitCode: null, signal: "SIGKILL", outOfMemory: true }],
  ])("tells an end with code %i", async (StatusCode, state, expected) => {
    expect(await (await ending([{ json: { StatusCode } }], state)).ended).toEqual(expected);
  });

  it("takes the wait up again when its connection breaks", async () => {
    const broken: Answer = (response) => void response.destroy();
    expect(await (await ending([broken, broken, { json: { StatusCode: 3 } }], {})).ended).toMatchObject({
      exitCode: 3,
    });
  });

  it("takes a container that was removed for ended", async () => {
    expect(await (await ending([undefined])).ended).toEqual({ exitCode: null, signal: null, outOfMemory: false });
  });

  it("stays pending after detach", async () => {
    const silent: Answer = (response) => void response.writeHead(200).flushHeaders();
    const watched = await ending([silent], {});
    watched.detach();
    const pending = new Promise((resolve) => setImmediate(resolve, "pending"));
    expect(await Promise.race([watched.ended, pending])).toBe("pending");
  });
});

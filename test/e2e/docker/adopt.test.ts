import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { adoptContainer } from "../../../src/backend/docker/adopt.ts";
import { connectEngine } from "../../../src/backend/docker/engine.ts";
import type { WantedImage } from "../../../src/backend/docker/image.ts";
import { probeOrigins } from "../../../src/backend/docker/probe.ts";
import { docker } from "../harness/engine.ts";
import { type Baseline, baseline } from "../harness/leftovers.ts";
import { world } from "../harness/world.ts";
import { ready, realDeps, secret } from "./support.ts";

const { repository, digest, other } = world().image;
const image = `${repository}@${digest}`;
const ports = ["-p", "127.0.0.1:3210:3210", "-p", "127.0.0.1:3211:3211"];
const origins = ["-e", "CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210", "-e", "CONVEX_SITE_ORIGIN=http://127.0.0.1:3211"];

let before: Baseline;
beforeEach(async () => {
  before = await baseline();
});
afterEach(async () => {
  await before.sweep();
});

/** A service as a runner starts it, taken over. */
async function adopt(args: readonly string[], choice?: WantedImage) {
  const id = await docker("run", "-d", "-v", "/convex/data", ...args, image);
  const deps = realDeps();
  const engine = await connectEngine(deps);
  const adopted = await adoptContainer(engine, id, choice === undefined ? {} : { choice }, deps);
  return { id, engine, adopted };
}

describe("a backend under services:", () => {
  it("is used as it is when its variables tell everything", async () => {
    const env = ["-e", "INSTANCE_NAME=chat", "-e", `INSTANCE_SECRET=${secret}`];
    const { adopted, engine, id } = await adopt([...ports, ...origins, ...env], { reference: image, digest });
    expect(adopted).toMatchObject({ instanceName: "chat", instanceSecret: secret, findings: [] });
    await ready(adopted.backend);
    expect(await probeOrigins(engine, id, { ...adopted.backend, instanceName: "chat" })).toEqual([]);
    adopted.backend.detach();
    expect(await docker("inspect", "-f", "{{.State.Status}}", id)).toBe("running");
  });

  it("gives its key by its own script, without changing what it stores", async () => {
    const { adopted, id } = await adopt([...ports, ...origins]);
    expect(adopted).not.toHaveProperty("instanceSecret");
    // Until it answers the script would store a secret of its own.
    await expect
      .poll(
        () =>
          fetch(`${adopted.backend.url}/version`).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(200);
    const stored = await docker("exec", id, "cat", "/convex/data/credentials/instance_secret");
    const { adminKey, instanceName } = await adopted.key();
    expect(instanceName).toBe("convex-self-hosted");
    await ready(adopted.backend, "convex-self-hosted", adminKey);
    expect(await docker("exec", id, "cat", "/convex/data/credentials/instance_secret")).toBe(stored);
    adopted.backend.detach();
  });

  it("is told which lines its env: lacks, and what does not work without them", async () => {
    const { adopted, engine, id } = await adopt([
      "-p",
      "127.0.0.1:4000:3210",
      "-p",
      "127.0.0.1:4001:3211",
      "-e",
      "CONVEX_CLOUD_ORIGIN=http://127.0.0.1:4000",
      "-e",
      "CONVEX_SITE_ORIGIN=http://127.0.0.1:4001",
    ]);
    expect(adopted.findings).toMatchObject([
      { lines: ["CONVEX_CLOUD_ORIGIN: http://127.0.0.1:3210", "CONVEX_SITE_ORIGIN: http://127.0.0.1:3211"] },
    ]);
    const { cloudOrigin, siteOrigin } = adopted.backend;
    expect(await probeOrigins(engine, id, { cloudOrigin, siteOrigin })).toHaveLength(2);
    adopted.backend.detach();
  });

  it("must be the image that was pinned", async () => {
    const choice = { reference: `${repository}@${other.digest}`, digest: other.digest };
    await expect(adopt(ports, choice)).rejects.toMatchObject({ code: "image-digest-mismatch" });
  });

  it("shows its log when it has ended", async () => {
    const id = await docker("run", "-d", "-e", "INSTANCE_SECRET=zzzzzzzzzz", image);
    await docker("wait", id);
    const deps = realDeps();
    const adopted = adoptContainer(await connectEngine(deps), id, {}, deps);
    await expect(adopted).rejects.toMatchObject({
      code: "service-container-ended",
      message: expect.stringContaining("exit code 1"),
    });
    expect(deps.lines.join("\n")).toContain("Couldn't hexdecode key");
  });
});

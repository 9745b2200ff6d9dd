import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BackendState } from "../../../src/backend/backend.ts";
import { startDashboard } from "../../../src/backend/docker/dashboard.ts";
import { ensureImage } from "../../../src/backend/docker/image.ts";
import { LABEL } from "../../../src/backend/docker/labels.ts";
import { findLeftovers, reclaim } from "../../../src/backend/docker/leftovers.ts";
import { stopContainer } from "../../../src/backend/docker/teardown.ts";
import { docker } from "../harness/engine.ts";
import { type Baseline, baseline } from "../harness/leftovers.ts";
import { world } from "../harness/world.ts";
import { folder, start } from "./support.ts";

let before: Baseline;
beforeEach(async () => {
  before = await baseline();
});
afterEach(async () => {
  await before.sweep();
});

describe("what a killed job leaves behind", () => {
  it("is found and removed, and nothing else is", async () => {
    const free = { port: 0, sitePort: 0 };
    const alive = await start(free);
    const labels = JSON.parse(
      await docker("inspect", "-f", "{{json .Config.Labels}}", alive.state.container),
    ) as Record<string, string>;
    const died: Record<string, string> = { ...labels, [LABEL.process]: "1@another life", [LABEL.owner]: "convex-dead" };
    const flags = Object.entries(died).flatMap(([name, value]) => ["--label", `${name}=${value}`]);
    await docker("run", "-d", "--name", "convex-dead", "-v", "/data", ...flags, world().image.base, "sleep", "1000");
    await docker("run", "-d", "--name", "stranger", world().image.base, "sleep", "1000");
    const found = await findLeftovers(alive.engine, alive.deps);
    expect(found.map(({ name }) => name)).toEqual(["convex-dead"]);
    expect((await reclaim(alive.engine, found, alive.deps)).filter(({ error }) => error !== undefined)).toEqual([]);
    const names = (await docker("ps", "-a", "--format", "{{.Names}}")).split("\n").sort();
    expect(names).toEqual([alive.state.container, "stranger"].sort());
    expect(await findLeftovers(alive.engine, alive.deps)).toEqual([]);
  });
});

describe("the dashboard", () => {
  /** Like the real one as far as we use it: a server on the inner port that knows the deployment's URL. */
  async function buildDashboard(): Promise<string> {
    const at = folder();
    const script = 'require("http").createServer((q, s) => s.end(process.env.NEXT_PUBLIC_DEPLOYMENT_URL)).listen(6791)';
    writeFileSync(
      join(at, "Dockerfile"),
      `FROM ${world().image.base}\nCMD ["node", "-e", ${JSON.stringify(script)}]\n`,
    );
    return await docker("build", "-q", "-t", "dashboard:1", at);
  }

  it("is published on the loopback, knows the backend, and goes with it", async () => {
    await buildDashboard();
    const { engine, deps, state, backend } = await start({});
    const image = await ensureImage(engine, { reference: "dashboard:1" }, "never", deps);
    let saved: BackendState = state;
    const options = { image, cloudOrigin: backend.cloudOrigin, state };
    const { url } = await startDashboard(engine, options, (next) => (saved = next), deps);
    expect(saved).toEqual({ ...state, others: [`${state.container}-dashboard`] });
    await expect
      .poll(
        () =>
          fetch(url).then(
            (answer) => answer.text(),
            () => "",
          ),
        { timeout: 10_000 },
      )
      .toBe("http://127.0.0.1:3210");
    if (saved.runtime !== "docker") throw new Error("unreachable");
    expect((await stopContainer(saved, deps)).map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(await docker("ps", "-aq")).toBe("");
    await docker("rmi", "dashboard:1");
  });
});

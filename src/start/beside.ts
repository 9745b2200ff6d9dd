import { endLeftover, findLeftovers as findProcesses } from "../backend/binary-leftovers.ts";
import { resolveImage } from "../backend/catalogue.ts";
import { startDashboard } from "../backend/docker/dashboard.ts";
import { canRunLinux, connectEngine } from "../backend/docker/engine.ts";
import { ensureImage } from "../backend/docker/image.ts";
import { findLeftovers as findContainers, reclaim as reclaimContainers } from "../backend/docker/leftovers.ts";
import { probeOrigins } from "../backend/docker/probe.ts";
import { setOutput } from "../runner/outputs.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import type { Prepared } from "./prepare.ts";
import type { Run, Usable } from "./run.ts";
import { reportTeardown } from "./teardown.ts";

async function leftoverContainers(prepared: Prepared, deps: Deps): Promise<string[]> {
  const { reclaim, runtime, serviceContainer } = prepared.inputs;
  if (serviceContainer === undefined && (runtime === "binary" || (runtime === "auto" && !(await canRunLinux(deps))))) {
    return [];
  }
  const engine = await connectEngine(deps);
  const leftovers = await findContainers(engine, deps);
  if (reclaim) reportTeardown(await reclaimContainers(engine, leftovers, deps), deps);
  return leftovers.map(({ what }) => what);
}

/** Leftovers of dead runs hold ports and memory on self-hosted machines; a hosted runner has none. */
export async function handleLeftovers(prepared: Prepared, deps: Deps): Promise<void> {
  if (deps.env["RUNNER_ENVIRONMENT"] === "github-hosted") return;
  const { reclaim } = prepared.inputs;
  const found: string[] = [];
  for (const leftover of await findProcesses(deps)) {
    if (reclaim) await endLeftover(leftover, deps);
    found.push(leftover.what);
  }
  found.push(...(await leftoverContainers(prepared, deps)));
  if (found.length === 0) return;
  const list = found.join("; ");
  if (reclaim) deps.log.notice(`Removed what dead runs left on this machine: ${list}.`);
  else deps.log.warning(`Dead runs left something on this machine: ${list}. Set reclaim: true to remove it.`);
}

/** Starts the dashboard beside the deploy; its URL goes to the summary and the outputs. */
export async function addDashboard(usable: Usable, run: Run): Promise<void> {
  const { prepared, timeline, deps } = run;
  const { dashboard, dashboardImage } = prepared.inputs;
  const { engine, backend } = usable.launched;
  const state = run.saved();
  if (!dashboard || engine === undefined || state?.runtime !== "docker") return;
  await timeline.phase("dashboard", async () => {
    const choice = resolveImage({ image: dashboardImage });
    const image = await ensureImage(engine, choice, prepared.inputs.pull, deps);
    const { url } = await startDashboard(engine, { image, cloudOrigin: backend.cloudOrigin, state }, run.save, deps);
    run.tell({ dashboardUrl: url });
    setOutput("dashboard-url", url, tempOf(deps));
  });
}

/** Node actions, files and sign-in use the origins from inside the container: asked there, not guessed (contract 8.3). */
export async function probe(usable: Usable, run: Run): Promise<void> {
  const { engine, backend } = usable.launched;
  if (engine === undefined || backend.containerId === undefined) return;
  const { cloudOrigin, siteOrigin } = backend;
  const origins = { cloudOrigin, siteOrigin, instanceName: usable.instanceName };
  for (const { what } of await probeOrigins(engine, backend.containerId, origins)) run.deps.log.warning(what);
}

import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import type { BackendState, TeardownStep } from "../backend.ts";
import { inspectContainer, killContainer, readLogs, removeContainer, waitContainer } from "./containers.ts";
import { connectEngine, type Engine } from "./engine.ts";
import { LABEL } from "./labels.ts";
import { removeVolume, volumeLabels } from "./volumes.ts";

type DockerState = Extract<BackendState, { runtime: "docker" }>;

/** After the first SIGINT the backend serves open requests to the end; a second one cuts them (contract 1.6). */
const PATIENCE_MS = 1_000;
const PATIENCE_WITH_DATA_MS = 10_000;
const AFTER_SECOND_MS = 1_000;

/**
 * Ends and removes what the state names, as far as it carries our owner label. Each step is tried whatever became of
 * the others; what is not there any more counts as done.
 */
export async function stopContainer(state: DockerState, deps: Deps): Promise<TeardownStep[]> {
  let engine: Engine;
  try {
    engine = await connectEngine(deps, state.engine);
  } catch (error) {
    return [{ what: `remove the container ${state.container}`, error }];
  }
  const containers = await Promise.all([
    step(`stop and remove the container ${state.container}`, () =>
      endContainer(engine, state.container, state.owner, patience(state), deps),
    ),
    ...state.others.map((name) =>
      step(`remove the container ${name}`, () => endContainer(engine, name, state.owner, 0, deps)),
    ),
  ]);
  const { volume } = state;
  if (volume === undefined) return containers;
  return [...containers, await step(`remove the volume ${volume}`, () => endVolume(engine, volume, state.owner))];
}

/** The newest lines of the log, oldest first, unredacted; empty when the container is gone. */
export async function containerLogs(
  state: Exclude<BackendState, { runtime: "binary" }>,
  count: number,
  deps: Deps,
): Promise<string[]> {
  return await readLogs(await connectEngine(deps, state.engine), state.container, count);
}

function patience(state: DockerState): number {
  return state.keepsData ? PATIENCE_WITH_DATA_MS : PATIENCE_MS;
}

async function step(what: string, work: () => Promise<void>): Promise<TeardownStep> {
  try {
    await work();
    return { what };
  } catch (error) {
    return { what, error };
  }
}

/**
 * @param patienceMs how long open requests may take; 0 kills at once
 * @throws ActionError `not-ours`
 */
export async function endContainer(
  engine: Engine,
  name: string,
  owner: string,
  patienceMs: number,
  deps: Deps,
): Promise<void> {
  const info = await inspectContainer(engine, name);
  if (info === undefined) return;
  if (info.labels[LABEL.owner] !== owner) throw notOurs("container", name);
  if (info.running && patienceMs > 0) await interrupt(engine, info.id, patienceMs, deps);
  await removeContainer(engine, info.id);
}

/** Ends in time or not: the removal that follows kills what still runs. */
async function interrupt(engine: Engine, id: string, patienceMs: number, deps: Deps): Promise<void> {
  const stop = new AbortController();
  const over = waitContainer(engine, id, stop.signal).then(
    () => true,
    () => false,
  );
  const within = (ms: number): Promise<boolean> =>
    Promise.race([
      over,
      deps.clock.sleep(ms, stop.signal).then(
        () => false,
        () => false,
      ),
    ]);
  try {
    await killContainer(engine, id, "SIGINT");
    if (await within(patienceMs)) return;
    await killContainer(engine, id, "SIGINT");
    await within(AFTER_SECOND_MS);
  } finally {
    stop.abort();
  }
}

async function endVolume(engine: Engine, name: string, owner: string): Promise<void> {
  const labels = await volumeLabels(engine, name);
  if (labels === undefined) return;
  if (labels[LABEL.owner] !== owner) throw notOurs("volume", name);
  await removeVolume(engine, name);
}

function notOurs(what: string, name: string): ActionError {
  return new ActionError(
    "not-ours",
    `The ${what} ${name} does not carry this step's owner label, so it was left alone.`,
    `Look who made it (docker inspect ${name}) and remove it by hand if nobody needs it.`,
  );
}

import { constants } from "node:os";
import type { Deps } from "../../system/deps.ts";
import type { Ended, RunningBackend } from "../backend.ts";
import { inspectContainer, readLogs, waitContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";

/** Follows a container: its end, its log. Nothing here ends or changes it. */
export function watch(engine: Engine, id: string, deps: Deps): Pick<RunningBackend, "ended" | "logs" | "detach"> {
  const stop = new AbortController();
  return {
    ended: followEnd(engine, id, stop.signal, deps),
    logs: (count) => readLogs(engine, id, count),
    detach: () => stop.abort(),
  };
}

/** Resolves at the container's end. A broken connection to the engine is no end; it is taken up again. */
async function followEnd(engine: Engine, id: string, signal: AbortSignal, deps: Deps): Promise<Ended> {
  while (!signal.aborted) {
    try {
      const exitCode = await waitContainer(engine, id, signal);
      const info = await inspectContainer(engine, id);
      return { ...endOf(exitCode), outOfMemory: info?.outOfMemory ?? false };
    } catch (error) {
      if (signal.aborted) break;
      deps.log.debug(`Lost sight of the container ${id}: ${String(error)}`);
      const info = await inspectContainer(engine, id).catch(() => null);
      if (info === undefined) return { exitCode: null, signal: null, outOfMemory: false };
      await deps.clock.sleep(500, signal).catch(() => undefined);
    }
  }
  return new Promise<Ended>(() => undefined);
}

/** Engines report the end by a signal as 128 + its number. */
function endOf(exitCode: number): { exitCode: number | null; signal: string | null } {
  const signal = Object.entries(constants.signals).find(([, number]) => exitCode === 128 + number)?.[0];
  return signal === undefined ? { exitCode, signal: null } : { exitCode: null, signal };
}

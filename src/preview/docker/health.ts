import { execIn, inspectContainer, readLogs } from "../../backend/docker/containers.ts";
import type { Engine } from "../../backend/docker/engine.ts";
import { API_PORT } from "../../backend/docker/origins.ts";
import { redactor } from "../../backend/redact.ts";
import type { Deps } from "../../system/deps.ts";
import type { Health } from "../target.ts";
import { isOurs, type Names } from "./names.ts";

const LOG_LINES = 50;

/** Looks at the container itself, past proxy and names: whether it runs and whether the backend answers in it. */
export async function healthOf(engine: Engine, names: Names, deps: Deps): Promise<Health> {
  const info = await inspectContainer(engine, names.id);
  if (info === undefined || !isOurs(info.labels, names)) {
    return { running: false, answers: false, restarts: 0, outOfMemory: false, log: [] };
  }
  const { id, running, exitCode, outOfMemory, restarts } = info;
  const [answers, lines] = await Promise.all([
    running ? answersInside(engine, id, deps) : false,
    readLogs(engine, id, LOG_LINES).catch(() => []),
  ]);
  const secret = info.env["INSTANCE_SECRET"];
  const log = lines.map(redactor(secret === undefined ? [] : [secret]));
  return { running, answers, restarts, exitCode, outOfMemory, log };
}

async function answersInside(engine: Engine, id: string, deps: Deps): Promise<boolean> {
  try {
    const url = `http://127.0.0.1:${API_PORT}/version`;
    return (await execIn(engine, id, ["curl", "-sf", "--max-time", "5", url])).exitCode === 0;
  } catch (error) {
    // It ended, or restarts at this very moment.
    deps.log.debug(String(error));
    return false;
  }
}

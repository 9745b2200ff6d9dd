import { isAbsolute, resolve } from "node:path";
import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { makeFolders } from "../../system/folders.ts";
import { dataUnusable } from "../data-lock.ts";
import type { ContainerInfo } from "./containers.ts";
import type { Place } from "./place.ts";

/** A mount as the engine takes it. */
export interface Mount {
  readonly Type: "bind" | "volume";
  readonly Source: string;
  readonly Target: string;
}

const TARGET = "/convex/data";

/**
 * How the input `data` is mounted: a name is a volume, anything with a slash (or a drive) is a directory of this job,
 * relative to the workspace, which is made when it is missing.
 * @throws ActionError `data-directory`, `data-not-shared`
 */
export function dataMount(data: string, place: Place, deps: Deps): Mount {
  if (/^[a-zA-Z0-9][\w.-]+$/.test(data)) return { Type: "volume", Source: data, Target: TARGET };
  const directory = isAbsolute(data) ? data : resolve(deps.env["GITHUB_WORKSPACE"] ?? ".", data);
  if (place.kind === "remote") throw notShared(directory, `the Docker engine is on another machine (${place.host})`);
  try {
    makeFolders(directory);
  } catch (error) {
    throw dataUnusable(directory, error);
  }
  return { Type: "bind", Source: seenByEngine(directory, place), Target: TARGET };
}

/** A path of the job's container is another one, or none, where the engine runs. */
function seenByEngine(directory: string, place: Exclude<Place, { kind: "remote" }>): string {
  if (place.own === undefined) {
    if (place.kind === "host") return directory;
    throw notShared(directory, "this job runs in a container that the engine does not know");
  }
  const mount = mountOf(directory, place.own);
  if (mount === undefined) throw notShared(directory, "it lies inside of the job's container only");
  return mount.source + directory.slice(mount.destination.replace(/\/$/, "").length);
}

function mountOf(directory: string, own: ContainerInfo): ContainerInfo["mounts"][number] | undefined {
  return own.mounts
    .filter(
      ({ destination }) => directory === destination || directory.startsWith(`${destination.replace(/\/$/, "")}/`),
    )
    .sort((a, b) => b.destination.length - a.destination.length)[0];
}

function notShared(directory: string, why: string): ActionError {
  return new ActionError(
    "data-not-shared",
    `data: the Docker engine cannot see ${directory}: ${why}.`,
    "Name a directory below the workspace where the job's container shares it, or a volume (a name without a slash).",
  );
}

import { ActionError } from "../../runner/errors.ts";
import { isLoopback } from "./origins.ts";
import type { Place } from "./place.ts";

/**
 * What the job calls the address that ports are published on.
 * @throws ActionError `bind-unreachable` when it could not reach them
 */
export function reachableHost(bind: string, place: Place): string {
  if (place.kind === "remote") {
    if (!isLoopback(bind)) return place.host;
    throw new ActionError(
      "bind-unreachable",
      `The Docker engine is on another machine (${place.host}): a port published on ${bind} there cannot be reached from this job.`,
      "Set bind: 0.0.0.0 if everyone who reaches that machine may reach the backend, or use a local engine, or runtime: binary.",
    );
  }
  if (bind === "0.0.0.0") return "127.0.0.1";
  if (bind === "::") return "[::1]";
  return bind.includes(":") ? `[${bind}]` : bind;
}

import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { freePorts, isFree, whoHolds } from "../system/ports.ts";
import type { BackendSpec, RunningBackend } from "./backend.ts";
import { type Addresses, addressesOf } from "./binary-command.ts";
import { jobProcess, processTable } from "./process-table.ts";

/**
 * The ports to start on: those of the spec, checked to be free, and free ones for 0.
 * @throws ActionError `port-taken`, `port-forbidden`
 */
export async function choosePorts(spec: BackendSpec, deps: Deps): Promise<Addresses> {
  const wanted = [spec.port, spec.sitePort];
  const fixed = wanted.filter((port) => port !== 0);
  const taken = await Promise.all(fixed.map((port) => isFree(port, spec.bind).then((free) => (free ? [] : [port]))));
  const [first] = taken.flat();
  if (first !== undefined) throw await portTaken(first, spec.bind, deps);
  const free = (await freePorts(4, spec.bind)).filter((port) => !fixed.includes(port));
  const [port = 0, sitePort = 0] = wanted.map((want) => (want === 0 ? (free.shift() ?? 0) : want));
  return addressesOf(spec, port, sitePort);
}

async function portTaken(port: number, bind: string, deps: Deps): Promise<ActionError> {
  const found = await whoHolds(port, deps);
  if (port < 1024 && found === undefined) {
    return new ActionError(
      "port-forbidden",
      `Port ${port} on ${bind} cannot be opened: ports below 1024 need rights that this job has not.`,
      "Choose one from 1024 on, or 0 for any free one.",
    );
  }
  const holder = found ?? "another process";
  const pid = Number(/\(pid (\d+)\)/.exec(holder)?.[1]);
  const ours = (await processTable(deps).marked()).find((process) => process.pid === pid);
  const job = await jobProcess(deps);
  const same = ours?.job !== undefined && ours.job === job ? "this job" : "another job";
  const who =
    ours === undefined ? holder : `the backend that step "${ours.step ?? "?"}" of ${same} started (pid ${pid})`;
  return new ActionError(
    "port-taken",
    `Port ${port} on ${bind} is in use by ${who}.`,
    "Free it, or set port: 0 and site-port: 0 to let the backend take free ports.",
  );
}

/** Waits until the backend listens or has ended; true when it ended because somebody else had one of its ports. */
export async function lostPort(backend: RunningBackend, deps: Deps): Promise<boolean> {
  const over = new AbortController();
  let ended = false;
  void backend.ended.then(() => {
    ended = true;
    over.abort();
  });
  // Bounded by the caller's own wait for readiness: what has not shown within that time is not a lost port.
  const until = deps.clock.now() + 5000;
  while (!ended && deps.clock.now() < until) {
    const there = await deps.http
      .request(`${backend.url}/instance_name`, { timeoutMs: 1000, signal: over.signal, maxBytes: 65_536 })
      .catch(() => undefined);
    if (there !== undefined) break;
    await deps.clock.sleep(10, over.signal).catch(() => undefined);
  }
  // An answer may come from the one who took the port: ours ends of it at once (contract 1.6).
  if (!ended) return false;
  const lines = await backend.logs(50);
  return lines.some((line) => /Could not start (backend|backend_http_proxy) on/.test(line));
}

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

/** How long a start on chosen ports is watched. Short: the wait for readiness, with its time limit, begins after it. */
const WATCH_MS = 300;
/** Long enough for a backend whose port is another's to end of it (contract 1.6: within half a second, more under load). */
const END_MS = 3000;
const PAUSE_MS = 20;

/**
 * Whether somebody took one of the ports between the choice and the start: the backend ends of it with "Could not start
 * backend on ..." (contract 1.6). Answers tell nothing, as they may be the other's. Resolves once the backend itself
 * listens (Linux), has ended, or has run for 300 ms; longer only where another process is seen to hold a port.
 */
export async function lostPort(backend: RunningBackend, addresses: Addresses, deps: Deps): Promise<boolean> {
  const ended = backend.ended.then(() => true);
  const endsWithin = async (ms: number): Promise<boolean> => {
    const over = new AbortController();
    const slept = deps.clock.sleep(ms, over.signal).then(
      () => false,
      () => false,
    );
    try {
      return await Promise.race([ended, slept]);
    } finally {
      over.abort();
    }
  };
  const until = deps.clock.now() + WATCH_MS;
  while (!(await endsWithin(PAUSE_MS))) {
    const holders = await holdersOf(addresses, backend, deps);
    if (holders.includes("another")) {
      if (!(await endsWithin(END_MS))) return false;
      break;
    }
    if (holders.every((holder) => holder === "backend") || deps.clock.now() >= until) return false;
  }
  const lines = await backend.logs(50);
  return lines.some((line) => /Could not start (backend|backend_http_proxy) on/.test(line));
}

type Holder = "backend" | "another" | "nobody";

/** Only on Linux, where it costs no process. Elsewhere "nobody" stands for "not known" too. */
async function holdersOf({ port, sitePort }: Addresses, { pid }: RunningBackend, deps: Deps): Promise<Holder[]> {
  if (deps.platform !== "linux") return ["nobody"];
  const found = await Promise.all([port, sitePort].map((one) => whoHolds(one, deps)));
  return found.map((who) => {
    if (who === undefined) return "nobody";
    return who.endsWith(`(pid ${pid})`) ? "backend" : "another";
  });
}

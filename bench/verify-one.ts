/** `node verify-one.mjs <thread> <its limits> <snapshot>`: one verification, for verify.ts, which makes JavaScript of it. */
import { once } from "node:events";
import { type ResourceLimits, Worker } from "node:worker_threads";
import type { InspectionAnswer, InspectionTask } from "../src/snapshot/inspector-thread.ts";
import { peakMemory } from "./measure.ts";

/** What one verification in a process of its own took. */
export interface Verified {
  readonly bytes: number;
  readonly documents: number;
  readonly files: number;
  readonly wallMs: number;
  /** All threads of the process together: what it takes of one core, also on a busy machine. */
  readonly cpuMs: number;
  readonly peakBytes: number;
}

/** In the thread that a backup starts, as `inspectAside` does it. */
async function verify(inspector: string, resourceLimits: ResourceLimits, path: string): Promise<Verified> {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  const workerData: InspectionTask = { path, sha256: "" };
  const thread = new Worker(inspector, { workerData, resourceLimits });
  const [answer] = (await once(thread, "message")) as [InspectionAnswer];
  if ("failure" in answer) throw new Error(answer.failure.message);
  const { uncompressedBytes, documents, files, findings } = answer.inspection;
  const { user, system } = process.cpuUsage(cpu);
  const wallMs = performance.now() - wall;
  if (findings.some(({ level }) => level === "error")) throw new Error(JSON.stringify(findings));
  return { bytes: uncompressedBytes, documents, files, wallMs, cpuMs: (user + system) / 1000, peakBytes: peakMemory() };
}

const [inspector = "", limits = "", path = ""] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await verify(inspector, JSON.parse(limits) as ResourceLimits, path)));

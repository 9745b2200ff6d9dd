/**
 * `node bench/verify.ts [megabytes ...]`: how fast a snapshot is verified, on one core, and the most memory that takes;
 * for snapshots of 100 MB of uncompressed JSON unless told otherwise (1000, 4000). Made up anew, from a seed, each time. What is judged is CPU time of all threads of
 * the process (unpacking has one of its own), the compiler's included: on one idle core it is the wall time.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspectAside } from "../src/snapshot/inspect-aside.ts";
import { generateSnapshot } from "../test/support/generator.ts";
import { median, run } from "./measure.ts";

const MEGABYTE = 1e6;
const TURNS = 3;
const LEAST_RATE = 150;
const MOST_MEMORY = 250;

/** What one verification in a process of its own took. */
interface Verified {
  readonly bytes: number;
  readonly documents: number;
  readonly wallMs: number;
  /** All threads of the process together: what it takes of one core, also on a busy machine. */
  readonly cpuMs: number;
  readonly peakBytes: number;
}

async function verifyHere(path: string): Promise<Verified> {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  const { uncompressedBytes, documents, findings } = await inspectAside(path);
  const { user, system } = process.cpuUsage(cpu);
  const wallMs = performance.now() - wall;
  if (findings.some(({ level }) => level === "error")) throw new Error(JSON.stringify(findings));
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { bytes: uncompressedBytes, documents, wallMs, cpuMs: (user + system) / 1000, peakBytes };
}

/** On one core where the system can hold a process to one. */
async function verifyAside(path: string): Promise<Verified> {
  const own = [process.execPath, import.meta.filename, "--one", path] as const;
  const [command, ...args] = process.platform === "linux" ? ["taskset", "-c", "0", ...own] : own;
  return JSON.parse(await run(command, args)) as Verified;
}

/** Lines of a Markdown table, one for each size in megabytes. */
export async function benchVerify(sizes: readonly number[]): Promise<string> {
  const lines = [
    "| Verify | Documents | MB/s of wall time | MB/s of CPU time | Allowed | Peak memory | Allowed | |",
    "|---|---:|---:|---:|---|---:|---|---|",
  ];
  const folder = await mkdtemp(join(tmpdir(), "bench-verify-"));
  try {
    for (const size of sizes) {
      const path = join(folder, `${size}.zip`);
      await generateSnapshot(path, { bytes: size * MEGABYTE, files: 50 });
      const turns: Verified[] = [];
      for (let turn = 0; turn < TURNS; turn += 1) turns.push(await verifyAside(path));
      await rm(path);
      lines.push(lineOf(size, turns));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return lines.join("\n");
}

function lineOf(size: number, turns: readonly Verified[]): string {
  const rate = (time: (turn: Verified) => number): number =>
    median(turns.map((turn) => turn.bytes / MEGABYTE / (time(turn) / 1000)));
  const [wall, cpu] = [rate(({ wallMs }) => wallMs), rate(({ cpuMs }) => cpuMs)];
  const peak = Math.max(...turns.map(({ peakBytes }) => peakBytes)) / MEGABYTE;
  const holds = cpu >= LEAST_RATE && peak <= MOST_MEMORY;
  const documents = turns[0]?.documents.toLocaleString("en") ?? "";
  return (
    `| ${size} MB | ${documents} | ${Math.round(wall)} | ${Math.round(cpu)} | ${LEAST_RATE} | ` +
    `${Math.round(peak)} MB | ${MOST_MEMORY} MB | ${holds ? "✅" : "❌"} |`
  );
}

if (process.argv[1] === import.meta.filename) {
  const [first, path] = process.argv.slice(2);
  if (first === "--one" && path !== undefined) process.stdout.write(JSON.stringify(await verifyHere(path)));
  else {
    const sizes = process.argv.slice(2).map(Number);
    process.stdout.write(`${await benchVerify(sizes.length === 0 ? [100] : sizes)}\n`);
  }
}

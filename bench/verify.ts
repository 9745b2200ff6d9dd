/**
 * `node bench/verify.ts [megabytes ...]`: how fast a snapshot is verified, on one core, and the most memory that takes;
 * for snapshots of 100 MB of uncompressed JSON unless told otherwise (1000, 4000), and for one of 200,000 stored files.
 * Made up anew, from a seed, each time. What is judged is CPU time of all threads of the process (unpacking has one of
 * its own), the compiler's included: on one idle core it is the wall time. Runs the thread's bundle (`npm run build`).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { THREAD_LIMITS } from "../src/snapshot/inspect-aside.ts";
import { median, run } from "./measure.ts";
import { makeSnapshot } from "./snapshot.ts";
import type { Verified } from "./verify-one.ts";

const MEGABYTE = 1e6;
const TURNS = 3;
const LEAST_RATE = 150;
const MOST_MEMORY = 250;
const [FEW_MEGABYTES, MANY_FILES] = [20, 200_000];
const INSPECTOR = join(import.meta.dirname, "../dist/inspector/index.js");

/**
 * In a process of its own, on one core where the system can hold one to it. The program is plain JavaScript, as a runner
 * has it: the compiler of Node's type stripping would go on with itself in the background for as long as all of this takes.
 */
async function verifyAside(program: string, path: string): Promise<Verified> {
  const own = [process.execPath, program, INSPECTOR, JSON.stringify(THREAD_LIMITS), path] as const;
  const [command, ...args] = process.platform === "linux" ? ["taskset", "-c", "0", ...own] : own;
  return JSON.parse(await run(command, args)) as Verified;
}

/** Lines of a Markdown table, one for each size in megabytes. */
export async function benchVerify(sizes: readonly number[]): Promise<string> {
  const lines = [
    "| Verify | Documents | Files | MB/s of wall time | MB/s of CPU time | Wanted | Peak memory | Allowed | Load | |",
    "|---|---:|---:|---:|---:|---|---:|---|---:|---|",
  ];
  const folder = await mkdtemp(join(tmpdir(), "bench-verify-"));
  try {
    const program = join(folder, "verify-one.mjs");
    const entry = join(import.meta.dirname, "verify-one.ts");
    await build({ entryPoints: [entry], outfile: program, bundle: true, platform: "node", format: "esm" });
    for (const size of sizes) lines.push(await benchOne(program, join(folder, `${size}.zip`), size, 50));
    // many small files are judged by their memory alone
    lines.push(await benchOne(program, join(folder, "files.zip"), FEW_MEGABYTES, MANY_FILES));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return lines.join("\n");
}

async function benchOne(program: string, path: string, size: number, files: number): Promise<string> {
  await makeSnapshot(path, size, files);
  // else the system goes on writing it beside the first turns
  await run("sync", [path]);
  const turns: Verified[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) turns.push(await verifyAside(program, path));
  await rm(path);
  return lineOf(size, turns);
}

function lineOf(size: number, turns: readonly Verified[]): string {
  const rate = (time: (turn: Verified) => number): number =>
    median(turns.map((turn) => turn.bytes / MEGABYTE / (time(turn) / 1000)));
  const [wall, cpu] = [rate(({ wallMs }) => wallMs), rate(({ cpuMs }) => cpuMs)];
  const peak = Math.max(...turns.map(({ peakBytes }) => peakBytes)) / MEGABYTE;
  const many = (turns[0]?.files ?? 0) >= MANY_FILES;
  const holds = (many || cpu >= LEAST_RATE) && peak <= MOST_MEMORY;
  const [documents, files] = [turns[0]?.documents, turns[0]?.files].map((count) => count?.toLocaleString("en"));
  return (
    `| ${size} MB | ${documents} | ${files} | ${Math.round(wall)} | ${Math.round(cpu)} | ${many ? "" : LEAST_RATE} | ` +
    `${Math.round(peak)} MB | ${MOST_MEMORY} MB | ${loadavg()[0]?.toFixed(1)} | ${holds ? "✅" : "❌"} |`
  );
}

if (process.argv[1] === import.meta.filename) {
  const sizes = process.argv.slice(2).map(Number);
  process.stdout.write(`${await benchVerify(sizes.length === 0 ? [100] : sizes)}\n`);
}

/**
 * `node bench/backup.ts [megabytes ...]`: a backup, encrypted, to a real S3 server, beside
 * `curl | tee >(sha256sum) | age | aws s3 cp` on the same machine and servers, in turns; and the most memory that it
 * takes. Sizes are those of the snapshot's uncompressed documents; rates are those of the ZIP. Needs the bundle
 * (`npm run build`), age, curl, the aws command, and the S3 server that .ci/run compiles. Three turns, or as many as the
 * variable TURNS says.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { Job } from "../test/support/job.ts";
import { type S3Server, startS3 } from "../test/support/s3.ts";
import { median, peakMemory, run, timed } from "./measure.ts";
import { makeSnapshot } from "./snapshot.ts";

const TURNS = Number(process.env["TURNS"] ?? 3);
const LEAST_SHARE = 0.8;
const MOST_MEMORY = 250;
const BUCKET = "bench";

interface Turn {
  /** The whole step, from spawn to exit. */
  readonly stepMs: number;
  /** From the first byte asked for to the last one stored. */
  readonly storeMs: number;
  readonly inspectMs: number;
  readonly peakMb: number;
  /** Of all threads, for the whole step. */
  readonly cpuMs: number;
}

interface HandTurn {
  readonly ms: number;
  /** Of all programs of the pipeline. */
  readonly cpuMs: number;
}

interface Server extends Disposable {
  readonly url: string;
}

async function serve(path: string): Promise<Server> {
  const file = join(import.meta.dirname, "backup-server.ts");
  const child = spawn(process.execPath, [file, path], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<string>((resolve) =>
    child.stdout.once("data", (data: Buffer) => resolve(String(data))),
  );
  return { url: `http://127.0.0.1:${port.trim()}`, [Symbol.dispose]: () => child.kill() };
}

/** Milliseconds of a phase, from the summary's table: `12 s`, `1 min 3 s`, `0.4 s`. */
function phaseMs(summary: string, name: string): number {
  const [, text = ""] = new RegExp(`^\\| ${name} \\| [^|]+ \\| ([^|]+) \\|$`, "m").exec(summary) ?? [];
  const [, minutes = "0", seconds = ""] = /^(?:(\d+) min )?([\d.]+) s$/.exec(text.trim()) ?? [];
  return Number(minutes) * 60_000 + Number(seconds) * 1000;
}

async function ours(url: string, s3: S3Server, recipient: string, folder: string): Promise<Turn> {
  const job = await Job.create(folder);
  const peak = join(job.directory, "peak");
  // Told at the end by the process itself: the most that it ever had in memory, and what it took of the processors.
  const hook = join(job.directory, "peak.mjs");
  // In JavaScript: to strip types takes 40 MB by itself, in the thread too.
  await writeFile(
    hook,
    `import { readFileSync, writeFileSync } from "node:fs";
     import { isMainThread } from "node:worker_threads";
     const peakMemory = ${peakMemory.toString()};
     if (isMainThread) process.on("exit", () => {
       const { user, system } = process.cpuUsage();
       writeFileSync(${JSON.stringify(peak)}, JSON.stringify({ bytes: peakMemory(), cpuMs: (user + system) / 1000 }));
     });`,
  );
  const inputs = {
    url,
    "admin-key": "bench|01e8ddb977852d16de5835e7995a79c4e8228334e1cba3efa4a9a6b74efe5e4429036932a7",
    recipients: recipient,
    destination: `s3://${BUCKET}/ours`,
    "s3-endpoint": s3.endpoint,
    "s3-region": s3.region,
    "s3-force-path-style": "true",
  };
  const env = { ...s3.env, NODE_OPTIONS: `--import ${hook}` };
  let summary = "";
  const stepMs = await timed(async () => {
    const result = await job.action("backup", { inputs, env });
    if (result.exitCode !== 0) throw new Error(result.log);
    summary = result.summary;
  });
  const { bytes, cpuMs } = JSON.parse(await readFile(peak, "utf8")) as { bytes: number; cpuMs: number };
  await job.remove();
  return {
    stepMs,
    storeMs: phaseMs(summary, "store"),
    inspectMs: phaseMs(summary, "inspect"),
    peakMb: bytes / 1e6,
    cpuMs,
  };
}

async function byHand(url: string, s3: S3Server, recipient: string, turn: number, bytes: number): Promise<HandTurn> {
  const script = `set -euo pipefail
    curl -sSf "$URL/api/export/zip/1" | tee >(sha256sum >/dev/null) | age -r "$RECIPIENT" |
      aws --endpoint-url "$ENDPOINT" s3 cp --quiet --expected-size ${bytes} - "s3://${BUCKET}/hand/${turn}.zip.age"
    wait
    times`;
  const env = { ...process.env, ...s3.env, URL: url, RECIPIENT: recipient, ENDPOINT: s3.endpoint };
  let said = "";
  const ms = await timed(async () => {
    said = await run("bash", ["-c", script], { env });
  });
  // the last line: user and system time of what the shell has waited for, `1m2.345s 0m0.678s`
  const times = [...(said.trim().split("\n").at(-1) ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return {
    ms,
    cpuMs: times.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0),
  };
}

async function benchSize(size: number, s3: S3Server, recipient: string, folder: string): Promise<string> {
  const path = join(folder, `${size}.zip`);
  await makeSnapshot(path, size);
  const { size: bytes } = await stat(path);
  using server = await serve(path);
  const [mine, hand]: [Turn[], HandTurn[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn += 1) {
    mine.push(await ours(server.url, s3, recipient, folder));
    hand.push(await byHand(server.url, s3, recipient, turn, bytes));
    await rm(join(s3.data, BUCKET), { recursive: true, force: true });
    await s3.client.send(new CreateBucketCommand({ Bucket: BUCKET })).catch(() => undefined);
  }
  await rm(path);
  const rate = (ms: number): number => bytes / 1e6 / (ms / 1000);
  const [storing, step, piped] = [
    rate(median(mine.map(({ storeMs }) => storeMs))),
    rate(median(mine.map(({ stepMs }) => stepMs))),
    rate(median(hand.map(({ ms }) => ms))),
  ];
  const peak = Math.max(...mine.map(({ peakMb }) => peakMb));
  const inspect = median(mine.map(({ inspectMs }) => inspectMs)) / 1000;
  const [cpu, handCpu] = [mine, hand].map((turns) => median(turns.map(({ cpuMs }) => cpuMs)) / 1000);
  const holds = storing >= LEAST_SHARE * piped && peak <= MOST_MEMORY;
  return (
    `| ${size} MB | ${(bytes / 1e6).toFixed(0)} MB | ${storing.toFixed(0)} | ${piped.toFixed(0)} | ${(storing / piped).toFixed(2)} | ` +
    `${LEAST_SHARE} | ${step.toFixed(0)} | ${inspect.toFixed(1)} s | ${cpu?.toFixed(1)} s | ${handCpu?.toFixed(1)} s | ${peak.toFixed(0)} MB | ${MOST_MEMORY} MB | ${loadavg()[0]?.toFixed(1)} | ${holds ? "✅" : "❌"} |`
  );
}

/** Lines of a Markdown table, one for each size in megabytes. */
export async function benchBackup(sizes: readonly number[]): Promise<string> {
  const lines = [
    "| Documents | ZIP | Stored, MB/s | By hand, MB/s | Share | Wanted | Whole step, MB/s | Inspection in it | CPU time | By hand | Peak memory | Allowed | Load | |",
    "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---|---:|---|",
  ];
  const folder = await mkdtemp(join(tmpdir(), "bench-backup-"));
  const s3 = await startS3();
  try {
    await run("age-keygen", ["-o", join(folder, "key")]);
    const recipient = /age1[a-z0-9]+/.exec(await readFile(join(folder, "key"), "utf8"))?.[0] ?? "";
    await s3.client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    for (const size of sizes) lines.push(await benchSize(size, s3, recipient, folder));
  } finally {
    await s3[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
  return lines.join("\n");
}

if (process.argv[1] === import.meta.filename) {
  const sizes = process.argv.slice(2).map(Number);
  process.stdout.write(`${await benchBackup(sizes.length === 0 ? [100] : sizes)}\n`);
}

/**
 * `npm run bench [-- <runs> [lines] [starts] [deploys] [handwritten] [verify]]`: how long the action takes beside the least
 * possible, a bare CLI, and what people write by hand; all in one run, in turns, on this machine. Medians of 9 runs.
 */
import { symlink } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { makeProject } from "../test/e2e/harness/act.ts";
import { docker } from "../test/e2e/harness/engine.ts";
import { session } from "../test/e2e/harness/session.ts";
import { root } from "../test/e2e/harness/tools.ts";
import type { World } from "../test/e2e/harness/world.ts";
import { Job } from "../test/support/job.ts";
import { bundleBytes, firstLine } from "./bundle.ts";
import { floorBinary, floorDocker } from "./floor.ts";
import { run, Series, timed } from "./measure.ts";
import { type Row, table } from "./table.ts";
import { benchVerify } from "./verify.ts";

const VARIABLES = 20;
const variables = Array.from({ length: VARIABLES }, (_, n) => `VARIABLE_${n + 1}="value ${n + 1}"`).join("\n");

type Inputs = Readonly<Record<string, string>>;

function note(text: string): void {
  process.stdout.write(`${text}\n`);
}

/**
 * Start and post of the bundles, each from spawn to exit, and the CLI's part of the start, from before its spawn to after
 * its exit; `between` runs while the backend is there.
 */
async function ours(
  project: string,
  inputs: Inputs,
  between?: (job: Job) => Promise<void>,
): Promise<{ start: number; stop: number; deploy: number }> {
  const job = await Job.create(project);
  let deploy = Number.NaN;
  const onLine = (line: string): void => {
    if (line.startsWith("::group::convex deploy")) deploy = -performance.now();
    else if (line === "::endgroup::" && deploy < 0) deploy += performance.now();
  };
  const start = await timed(async () => {
    const main = await job.action("start", { inputs, onLine });
    if (main.exitCode !== 0) throw new Error(main.log);
  });
  await between?.(job);
  const stop = await timed(() => job.action("stop", { inputs: { "job-status": "success" } }));
  await job.remove();
  return { start, stop, deploy };
}

async function starts(series: Series, runs: number, world: World, project: string): Promise<void> {
  const image = `${world.image.repository}@${world.image.digest}`;
  await docker("pull", image);
  const common = { deploy: "false", env: variables };
  const floors = {
    docker: () => floorDocker(image),
    binary: () => floorBinary(world.binary),
  };
  const inputs: Readonly<Record<keyof typeof floors, Inputs>> = {
    docker: { ...common, image },
    binary: { ...common, runtime: "binary", "binary-path": world.binary },
  };
  for (let turn = 0; turn < runs; turn += 1) {
    for (const runtime of ["docker", "binary"] as const) {
      let stopFloor: () => Promise<void> = async () => undefined;
      series.add(
        `floor ${runtime}`,
        await timed(async () => {
          stopFloor = await floors[runtime]();
        }),
      );
      await stopFloor();
      const { start, stop } = await ours(project, inputs[runtime]);
      series.add(`start ${runtime}`, start);
      series.add(`post ${runtime}`, stop);
    }
    note(`start and post: ${turn + 1} of ${runs}`);
  }
}

async function deploys(series: Series, runs: number, world: World, project: string): Promise<void> {
  const common = { runtime: "binary", "binary-path": world.binary, auth: "convex-auth" };
  const bare = async (job: Job): Promise<void> => {
    const cli = join(project, "node_modules/convex/bin/main.js");
    const env = job.environment({ NO_COLOR: "1" });
    series.add("bare deploy", await timed(() => run(process.execPath, [cli, "deploy"], { cwd: project, env })));
  };
  for (let turn = 0; turn < runs; turn += 1) {
    await ours(project, { ...common, deploy: "false" }, bare);
    const { deploy } = await ours(project, common);
    series.add("deploy", deploy);
    note(`deploy: ${turn + 1} of ${runs}`);
  }
}

async function handwritten(series: Series, runs: number, world: World, project: string): Promise<void> {
  const folder = join(root, "bench/handwritten");
  const image = `${world.image.repository}@${world.image.digest}`;
  for (let turn = 0; turn < runs; turn += 1) {
    series.add(
      "handwritten",
      await timed(() => run(join(folder, "start.sh"), [image, `${VARIABLES}`], { cwd: project })),
    );
    await run(join(folder, "stop.sh"), []);
    note(`by hand: ${turn + 1} of ${runs}`);
  }
}

async function lines(series: Series, runs: number, world: World, project: string): Promise<void> {
  for (let turn = 0; turn < runs; turn += 1) {
    series.add("node", await timed(() => run(process.execPath, ["-e", "0"])));
    const job = await Job.create(project);
    const inputs = { runtime: "binary", "binary-path": world.binary, deploy: "false" };
    series.add("first line", await firstLine(job, inputs));
    await job.action("stop");
    await job.remove();
  }
}

function rowsOf(series: Series): Row[] {
  const start = (runtime: string): Row => ({
    what: `start to usable, ${runtime}, ${VARIABLES} variables`,
    beside: [
      `floor (${runtime === "docker" ? "docker run" : "spawn"}, poll, one call)`,
      series.median(`floor ${runtime}`),
    ],
    ours: series.median(`start ${runtime}`),
    limit: { over: 300 },
  });
  return [
    start("docker"),
    start("binary"),
    {
      what: "the same, docker",
      beside: ["by hand", series.median("handwritten")],
      ours: series.median("start docker"),
      limit: { faster: 25 },
    },
    {
      what: "the same, binary",
      beside: ["by hand", series.median("handwritten")],
      ours: series.median("start binary"),
      limit: { faster: 25 },
    },
    {
      what: "deploy step",
      beside: ["bare convex deploy", series.median("bare deploy")],
      ours: series.median("deploy"),
      limit: { times: 1.03 },
    },
    { what: "post, docker", ours: series.median("post docker"), limit: { most: 1500 } },
    { what: "post, binary", ours: series.median("post binary"), limit: { most: 1500 } },
    {
      what: "first log line",
      beside: ["node -e 0", series.median("node")],
      ours: series.median("first line"),
      limit: { times: 1.5, plus: 100 },
    },
  ];
}

async function engineVersion(): Promise<string> {
  return await docker("version", "--format", "{{.Server.Version}}");
}

await session(import.meta.filename, async (world, args) => {
  const runs = Number(args[0] ?? 9);
  process.env["E2E_WORLD"] = JSON.stringify(world);
  process.env["TMPDIR"] = join(world.scratch, "tmp");
  process.env["PATH"] = `${world.bin}:${process.env["PATH"]}`;
  const project = await makeProject();
  await symlink(join(root, "node_modules"), join(project, "node_modules"));
  const series = new Series();
  const wanted = args.slice(1);
  for (const [name, part] of Object.entries({ lines, starts, deploys, handwritten })) {
    if (wanted.length === 0 || wanted.includes(name)) await part(series, runs, world, project);
  }
  if (wanted.length === 0 || wanted.includes("verify")) note(`\n${await benchVerify([100])}`);
  const bytes = await bundleBytes(join(root, "dist/start"));
  note(`\nMedians of ${runs} runs, taken in turns, with the stand-in backend (a test double).`);
  note(
    `${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, ` +
      `Node ${process.version}, Docker ${await engineVersion()}, load ${loadavg()[0]?.toFixed(1)}\n`,
  );
  note(table(rowsOf(series)));
  note(
    `| bundle of the root action, minified | | ${Math.round(bytes / 1000)} kB | | at most 900 kB | ${bytes <= 900_000 ? "✅" : "❌"} |`,
  );
  return 0;
});

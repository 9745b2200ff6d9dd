/**
 * Pull requests that come, are pushed to and go in random order, by jobs that are killed at random moments, some before
 * they connect, some while they make things, some in the end. What a runner would do is done: a step that was killed gets
 * its post step, and the jobs of one pull request wait for each other.
 */
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Job, type StepOptions, type StepResult } from "../../support/job.ts";
import { seeded } from "../../support/random.ts";
import { makeProject } from "../harness/act.ts";
import { processes } from "../harness/processes.ts";
import { root } from "../harness/tools.ts";
import { world } from "../harness/world.ts";
import { commitOf, domain, PREVIEW_SECRET, type PreviewHost, pullRequestEvent, TOKEN } from "./world.ts";

export interface Churn {
  readonly host: PreviewHost;
  readonly numbers: readonly number[];
  readonly steps: number;
  /** Of the order and the moments; how far a job is by then is the machine's. */
  readonly seed: number;
  /** Jobs of different pull requests at once. */
  readonly atOnce: number;
}

interface Kill {
  readonly ms: number;
  readonly signal: NodeJS.Signals;
}

class Workflow {
  readonly #host: PreviewHost;

  constructor(host: PreviewHost) {
    this.#host = host;
  }

  async run(
    command: string,
    event: { readonly name: string; readonly payload: unknown },
    kill?: Kill,
  ): Promise<{ readonly main: StepResult; readonly post: StepResult }> {
    // A checkout of its own, as on GitHub: the CLI writes into the project while it bundles.
    const project = await makeProject();
    symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
    const job = await Job.create(project);
    const file = join(job.directory, "event.json");
    writeFileSync(file, JSON.stringify(event.payload));
    const { remote, proxy, github } = this.#host;
    const options: StepOptions = {
      inputs: {
        command,
        host: remote.host,
        "ssh-key": remote.key,
        "known-hosts": remote.knownHosts,
        domain: `{name}.${domain}`,
        "proxy-network": "proxy",
        "preview-secret": PREVIEW_SECRET,
        image: world().image.repository,
        version: world().image.digest,
        memory: "512m",
        typecheck: "disable",
        "github-token": TOKEN,
      },
      env: {
        GITHUB_REPOSITORY: "acme/app",
        GITHUB_EVENT_NAME: event.name,
        GITHUB_EVENT_PATH: file,
        GITHUB_API_URL: github.url,
        NODE_EXTRA_CA_CERTS: proxy.caFile,
      },
      ...(kill === undefined ? {} : { killAfter: kill }),
    };
    const main = await job.action("preview", options);
    const post = await job.action("preview-post", { env: options.env ?? {} });
    await job.remove();
    return { main, post };
  }
}

/** What happens to one pull request next. */
function next(
  host: PreviewHost,
  number: number,
  commit: string,
  random: number,
): "opened" | "reopened" | "synchronize" | "closed" {
  const { state } = host.github;
  const pull = state.pullRequests.find((one) => one.number === number);
  if (pull === undefined) {
    state.open(number, { commit });
    return "opened";
  }
  if (pull.state === "closed") {
    pull.state = "open";
    return "reopened";
  }
  if (random < 0.4) {
    pull.state = "closed";
    return "closed";
  }
  pull.commit = commit;
  return "synchronize";
}

/** @returns the numbers of the pull requests that are open in the end; each has exactly its preview then */
export async function churn({ host, numbers, steps, seed, atOnce }: Churn): Promise<number[]> {
  const random = seeded(seed);
  const workflow = new Workflow(host);
  const clean = await host.inventory();
  const turns = new Map<number, Promise<void>>();
  const unfinished = new Set<number>();
  const count = { opened: 0, reopened: 0, synchronize: 0, closed: 0, "killed in time": 0 };
  const busy: Promise<void>[] = [];
  for (let step = 1; step <= steps; step += 1) {
    const number = numbers[Math.floor(random() * numbers.length)] ?? 1;
    const [choice, fate, moment, how] = [random(), random(), random(), random()];
    const kill: Kill | undefined =
      fate < 0.5 ? { ms: 100 + moment * 6000, signal: how < 0.5 ? "SIGKILL" : "SIGTERM" } : undefined;
    const turn = (turns.get(number) ?? Promise.resolve()).then(async () => {
      const action = next(host, number, commitOf(step), choice);
      const { main } = await workflow.run("up", pullRequestEvent(host, number, action), kill);
      count[action] += 1;
      if (main.exitCode !== 0) count["killed in time"] += 1;
      if (main.exitCode === 0) unfinished.delete(number);
      else unfinished.add(number);
      if (kill === undefined) expect(main.exitCode, shown(main)).toBe(0);
    });
    turns.set(number, turn);
    busy.push(turn);
    if (busy.length >= atOnce) await busy.shift();
  }
  await Promise.all(turns.values());
  const open = host.github.state.pullRequests.filter(({ state }) => state === "open").map(({ number }) => number);
  // What a person does with a job that was cancelled: runs it again. Closed ones are left to the sweep.
  for (const number of open.filter((one) => unfinished.has(one))) {
    const { main } = await workflow.run("up", pullRequestEvent(host, number, "synchronize"));
    expect(main.exitCode, shown(main)).toBe(0);
  }
  const before = (await host.inventory()).length - clean.length;
  const { main } = await workflow.run("sweep", { name: "schedule", payload: {} });
  expect(main.exitCode, shown(main)).toBe(0);
  const left = (await host.inventory()).filter((line) => !clean.includes(line));
  expect(left.map(shape).sort()).toEqual(open.flatMap(partsOf).sort());
  expect((await host.inventory()).filter((line) => clean.includes(line))).toEqual(clean);
  const ssh = processes().filter(
    ({ command }) => command.startsWith("ssh ") && command.includes(host.remote.host.slice(6)),
  );
  expect(ssh).toEqual([]);
  expect(host.github.defects).toEqual([]);
  const removed = main.outputs.get("removed");
  process.stdout.write(
    `${JSON.stringify({ seed, ...count, open: open.length, things: before, removed, after: left.length })}\n`,
  );
  return open;
}

/** The log without the masks. */
function shown({ log }: StepResult): string {
  return log.replace(/^::add-mask::.*\n/gm, "");
}

/** Without what differs from run to run: the time in a marker's name. */
function shape(line: string): string {
  return line.replace(/convex-preview-[0-9a-f]{8}-/, "").replace(/\.up-\w+$/, ".up");
}

function partsOf(number: number): string[] {
  return [`container pr-${number} running`, `volume pr-${number}.data`, `volume pr-${number}.up`];
}

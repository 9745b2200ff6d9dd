import { join } from "node:path";
import { test as base, expect } from "vitest";
import { type ActOptions, type ActRun, act, makeProject } from "./harness/act.ts";
import { leaks } from "./harness/leaks.ts";
import { type Baseline, baseline, filesInRunnerTemp } from "./harness/leftovers.ts";
import { root } from "./harness/tools.ts";
import { world } from "./harness/world.ts";

/** A test that knows what was on the machine before it, and leaves it so whatever happens. */
export const test = base.extend<{ before: Baseline }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names that a fixture uses from this pattern
  before: async ({}, use) => {
    const before = await baseline();
    await use(before);
    await before.sweep();
  },
});

/** Passed in by the tests, searched for in everything that comes out. */
export const sentinels = {
  OPENAI_API_KEY: 'sk-sentinel "quoted" #4711 $HOME',
  INSTANCE_SECRET: "5e".repeat(32),
};

/** Variables of start.yml for one runtime. */
export const runtimes = {
  docker: (): Record<string, string> => ({ RUNTIME: "docker" }),
  binary: (): Record<string, string> => ({ RUNTIME: "binary", BINARY_PATH: world().binary }),
};

export interface StartOptions extends Partial<ActOptions> {
  /** Files of the project that differ from examples/chat. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Runs a workflow (start.yml unless named) on a copy of examples/chat. */
export async function start(vars: Readonly<Record<string, string>>, options: StartOptions = {}): Promise<ActRun> {
  const { files, ...rest } = options;
  return await act({
    project: await makeProject("examples/chat", files),
    workflow: "start.yml",
    secrets: sentinels,
    ...rest,
    vars: { NODE_MODULES: join(root, "node_modules"), ...vars },
  });
}

/** Secrets that the action made itself, as its outputs tell them. */
function made(run: ActRun, step: string): Record<string, string> {
  const outputs = run.outputs(step);
  const names = ["admin-key", "instance-secret", "jwt-private-key"];
  return Object.fromEntries(names.flatMap((name) => (outputs[name] ? [[name, outputs[name]]] : [])));
}

/** No secret shows in the log, the summary, an annotation or an argument list. */
export function expectNoLeaks(
  run: ActRun,
  step = "convex",
  secrets: Readonly<Record<string, string>> = sentinels,
): void {
  const all = { ...secrets, ...made(run, step) };
  const annotations = run.annotations.map(({ message }) => message).join("\n");
  // The backend takes its secret as an argument and in no other way.
  const argv = run.argv.filter((command) => !command.includes("--instance-secret")).join("\n");
  expect(leaks(all, { log: run.log, summary: run.summary, annotations, argv })).toEqual([]);
}

/** Nothing of the run is left on the machine. */
export async function expectNothingLeft(run: ActRun, before: Baseline): Promise<void> {
  expect(await before.leftovers(), run.log).toEqual([]);
  expect(filesInRunnerTemp(run.home)).toEqual([]);
}

/** The step failed with that code, said what to do, told no secret and left nothing. */
export async function expectFailure(run: ActRun, code: string, before: Baseline): Promise<void> {
  expect(run.errorCode, run.log).toBe(code);
  expect(run.results("convex")).toEqual(["failure"]);
  expect(run.results("convex", "Post")).toEqual(["success"]);
  expect(run.error).toMatch(/^\[[a-z0-9-]+\] .+ → .+/s);
  expect(run.summary).toContain(code);
  expectNoLeaks(run);
  await expectNothingLeft(run, before);
}

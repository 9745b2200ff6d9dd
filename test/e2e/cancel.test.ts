import { describe, expect } from "vitest";
import type { ActEvent, ActOptions } from "./harness/act.ts";
import { docker } from "./harness/engine.ts";
import { processes } from "./harness/processes.ts";
import { world } from "./harness/world.ts";
import { expectNoLeaks, expectNothingLeft, runtimes, start, test } from "./support.ts";

const says = (text: RegExp) => (event: ActEvent) => event.stage === "Main" && text.test(event.msg);
const runs = (text: RegExp) => () => processes().some(({ command }) => text.test(command));

/** The local runner cancels with SIGKILL, so the post step finds only what the state says. */
const phases: [string, Pick<ActOptions, "cancelAt" | "cancelWhen">, Record<string, string>][] = [
  ["while the inputs are checked", { cancelAt: runs(/dist\/start\/index\.js/) }, {}],
  ["as soon as the first secret is masked", { cancelWhen: ({ command }) => command === "add-mask" }, {}],
  ["while it boots", { cancelAt: runs(/--instance-name/) }, { BACKEND_ENV: "STANDIN_START_DELAY_MS=5000" }],
  ["when it answers", { cancelWhen: says(/The backend answers at/) }, {}],
  ["while it deploys", { cancelWhen: says(/::group::convex deploy/) }, {}],
  ["after the step", { cancelWhen: says(/Run Main answers/) }, {}],
];

describe.each(["docker", "binary"] as const)("a job with %s that is cancelled", (runtime) => {
  test.for(phases)("%s leaves nothing", async ([, cancel, vars], { before }) => {
    const run = await start({ ...runtimes[runtime](), AUTH: "convex-auth", ...vars }, cancel);
    expect(run.exitCode).not.toBe(0);
    expect(run.results("convex", "Post"), run.log).toEqual(["success"]);
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });
});

test("a job that is cancelled while it pulls leaves nothing", async ({ before }) => {
  const images = await docker("images", "-q", "--filter", "label=convex-selfhost.test-double=true");
  for (const id of new Set(images.split("\n").filter((line) => line !== ""))) await docker("rmi", "-f", id);
  // The registry cuts every try at this layer, so that the pull is still going on.
  const image = `${world().faultyRegistry}/fault-cut-layer/convex-backend`;
  const run = await start({ IMAGE: image, VERSION: world().image.commit }, { cancelWhen: says(/Pulling/) });
  expect(run.results("convex", "Post"), run.log).toEqual(["success"]);
  await expectNothingLeft(run, before);
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { StartState } from "../../../src/start/state.ts";
import { stop } from "../../../src/start/stop.ts";
import { machine, temporary } from "../backend/support.ts";

const KEY = `convex-self-hosted|${"01".repeat(30)}`;

/** The post step of a main step that left this state, and a log of one line with a key. */
async function stopped(left: Partial<StartState> | undefined, jobStatus: string) {
  const directory = await temporary();
  const logFile = join(directory, "backend.log");
  await writeFile(logFile, `the only line, with ${KEY}\n`);
  const backend = {
    runtime: "binary",
    owner: `nobody-${process.pid}`,
    directory: join(directory, "gone"),
    keepsData: false,
    logFile,
  };
  if (left !== undefined) {
    // As the runner hands the state of the main step to the post step.
    process.env["STATE_start"] = JSON.stringify({ backend, logs: "on-failure", succeeded: true, ...left });
  }
  onTestFinished(() => {
    delete process.env["STATE_start"];
  });
  const { deps, told } = machine();
  await stop(jobStatus, deps);
  return told;
}

describe("the backend's log", () => {
  it.each<[Partial<StartState>, string, boolean]>([
    [{ succeeded: true }, "success", false],
    [{ succeeded: true }, "", false],
    [{ succeeded: true }, "failure", true],
    [{ succeeded: true }, "cancelled", true],
    // The main step failed or was ended, whatever the job's status says (continue-on-error, a runner that tells none).
    [{ succeeded: false }, "success", true],
    [{ succeeded: false }, "", true],
    [{ succeeded: false }, "failure", true],
    [{ logs: "always" }, "success", true],
    [{ logs: "never", succeeded: false }, "failure", false],
  ])("of a main step with %j, in a job with status '%s': shown %s", async (left, jobStatus, shown) => {
    const told = await stopped(left, jobStatus);
    expect(told.foreign).toEqual(shown ? ["the only line, with ***"] : []);
  });
});

it("has nothing to do where nothing was started", async () => {
  const told = await stopped(undefined, "failure");
  expect(told.info).toEqual([expect.stringContaining("Nothing was started")]);
  expect(told.foreign).toEqual([]);
});

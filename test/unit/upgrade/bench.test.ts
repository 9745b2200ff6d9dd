import { existsSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { BackendState } from "../../../src/backend/backend.ts";
import { Bench } from "../../../src/upgrade/bench.ts";
import type { UpgradeState } from "../../../src/upgrade/state.ts";
import { machine, temporary } from "../backend/support.ts";

async function bench() {
  const temp = await temporary();
  const { deps, told } = machine({ env: { RUNNER_TEMP: temp } });
  const saved: UpgradeState[] = [];
  let foundAtFirst: boolean | undefined;
  const made = await Bench.create((state) => {
    foundAtFirst ??= existsSync(state.directory ?? "");
    saved.push(state);
  }, deps);
  return { temp, told, saved, made, foundAtFirst };
}

it("is in the state before its folder is there, which is for this user alone", async () => {
  const { made, saved, foundAtFirst } = await bench();
  expect(foundAtFirst).toBe(false);
  expect(saved).toEqual([{ backends: [], directory: made.directory }]);
  expect((await stat(made.directory)).mode & 0o777).toBe(0o700);
  await made.clear();
  expect(existsSync(made.directory)).toBe(false);
});

it("leaves to the post step what could not be ended", async () => {
  const { temp, told, saved, made } = await bench();
  const gone = (name: string): BackendState => ({
    runtime: "binary",
    owner: `nobody-${process.pid}-${name}`,
    directory: join(temp, name),
    keepsData: false,
    logFile: join(temp, `${name}.log`),
  });
  const engineless: BackendState = {
    runtime: "docker",
    engine: `unix://${join(temp, "no-engine.sock")}`,
    container: "convex-0",
    owner: "convex-0",
    keepsData: false,
    others: [],
  };
  await mkdir(join(temp, "a"));
  made.slot()(engineless);
  made.slot()(gone("a"));
  await made.clearBackends();
  expect(told.warning).toEqual([expect.stringContaining("Could not remove the container convex-0")]);
  expect(saved.at(-1)).toEqual({ backends: [engineless], directory: made.directory });
  await made.clear();
  expect(saved.at(-1)?.backends).toEqual([engineless]);
  expect(existsSync(made.directory)).toBe(false);
});

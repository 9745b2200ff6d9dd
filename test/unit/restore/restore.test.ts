import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { carryOut } from "../../../src/restore/carry-out.ts";
import { isPaused } from "../../../src/restore/pause.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { keyPair, makeBackup, makeRun, makeWorld, type World } from "./support.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/snapshots");
let world: World;
let target: Standin;

beforeAll(async () => {
  [world, target] = await Promise.all([makeWorld(), startStandin()]);
});
afterAll(async () => {
  await target.stop();
  await world[Symbol.asyncDispose]();
});

describe("a restore into an empty deployment", () => {
  it("is proved table by table, and needs no agreement", async () => {
    const { identity, recipient } = await keyPair();
    await makeBackup(world.store, { zip: join(FIXTURES, "with-storage.zip"), recipients: [recipient] });
    const run = makeRun(world, target, { identity });
    await carryOut(run, join(world.directory, "temp"));
    const told = run.told();
    expect(told.verified).toBe(true);
    expect(told.rows?.every(({ content }) => content === "equal")).toBe(true);
    expect(await isPaused(run.client)).toBe(false);
  });
});

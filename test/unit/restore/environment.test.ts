import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DeploymentClient, type VariableChange } from "../../../src/deployment/client.ts";
import { carryOut } from "../../../src/restore/carry-out.ts";
import type { ActionError } from "../../../src/runner/errors.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { BASE, writeZip } from "../../support/snapshot.ts";
import { keyPair, makeBackup, makeRun, makeWorld, type TestRun, type World } from "./support.ts";

const OLD_SECRET = "the-secret-before-the-restore";
const NEW_SECRET = "the-secret-of-the-backup";

let world: World;
let keys: { identity: string; recipient: string };
let target: Standin;
beforeEach(async () => {
  [world, keys] = await Promise.all([makeWorld(), keyPair()]);
  const zip = await writeZip(join(world.directory, "base.zip"), BASE);
  const variables = new Map([
    ["AUTH_SECRET", NEW_SECRET],
    ["GREETING", "hello"],
    ["SAME", "as it was"],
  ]);
  await makeBackup(world.store, { zip, recipients: [keys.recipient], variables });
});
afterEach(async () => {
  await target.stop();
  await world[Symbol.asyncDispose]();
});

/** A target whose release reads no snapshot of the backup's, or one that does. */
async function start(like?: "first"): Promise<void> {
  target = await startStandin({ instanceName: "production", metrics: false, ...(like && { like }) });
  await makeRun(world, target).client.updateVariables([
    { name: "AUTH_SECRET", value: OLD_SECRET },
    { name: "SAME", value: "as it was" },
    { name: "OWN", value: "untouched" },
  ]);
}

/** Refuses every change of variables but the first. */
class Once extends DeploymentClient {
  #changed = false;
  override async updateVariables(changes: readonly VariableChange[]): Promise<void> {
    if (this.#changed) throw new Error("the backend is gone");
    this.#changed = true;
    await super.updateVariables(changes);
  }
}

/** Tells sizes of tables that no backup has. */
class Miscounting extends DeploymentClient {
  override async systemQuery(...asked: Parameters<DeploymentClient["systemQuery"]>): Promise<unknown> {
    return asked[0] === "_system/cli/tableSize" ? "77" : await super.systemQuery(...asked);
  }
}

async function failing(
  changes: Partial<TestRun> = {},
  inputs: Readonly<Record<string, string>> = {},
): Promise<{ error: ActionError; run: TestRun; state: string }> {
  const agreed = { confirm: "production", "safety-backup": "off" };
  const own = makeRun(world, target, { identity: keys.identity, "restore-env": "true", ...agreed, ...inputs });
  const run = { ...own, ...changes };
  const directory = join(world.directory, "temp", "run");
  await mkdir(directory);
  const error = (await carryOut(run, directory).catch((failure: unknown) => failure)) as ActionError;
  return { error, run, state: run.told().state?.join("\n") ?? "" };
}

const variables = () => makeRun(world, target).client.listVariables();

function expectNoValue(): void {
  const said = world.lines.all.filter((line) => !line.startsWith("mask: ")).join("\n");
  for (const secret of [OLD_SECRET, NEW_SECRET]) expect(said).not.toContain(secret);
}

describe("variables of a backup whose import fails", () => {
  it("are set back: the deployment is as it was", async () => {
    await start("first");
    const before = await variables();
    const { error, run, state } = await failing();
    expect(error.code).toBe("restore-import-failed");
    expect(run.states.map((one) => one.variables)).toContainEqual({ replaced: ["AUTH_SECRET"], added: ["GREETING"] });
    expect(JSON.stringify(run.states)).not.toMatch(/the-secret/);
    expect(await variables()).toEqual(before);
    expect(state).toContain("Its variables have their former values again.");
    expect(run.told().restoredVariables).toEqual([]);
    expect(run.keeper.now.variables).toBeUndefined();
    expectNoValue();
  });

  it("are named, with the way back, where they cannot be set back", async () => {
    await start("first");
    const client = new Once({ ...world.deps, url: target.url, adminKey: target.adminKey });
    const { error, run, state } = await failing({ client });
    expect(error.code).toBe("restore-import-failed");
    expect((await variables()).get("AUTH_SECRET")).toBe(NEW_SECRET);
    expect(state).toMatch(
      /stay so: AUTH_SECRET \(had other values\); GREETING \(were not there\)\. To go back: .*no safety backup.*; remove GREETING\./,
    );
    expect(world.lines.all.join("\n")).toContain("could not be set back: the backend is gone");
    expect(run.keeper.now.variables).toEqual({ replaced: ["AUTH_SECRET"], added: ["GREETING"] });
    expectNoValue();
  });

  it("stay with data that came, and are named", async () => {
    await start();
    const client = new Miscounting({ ...world.deps, url: target.url, adminKey: target.adminKey });
    const { error, state } = await failing({ client }, { verify: "counts" });
    expect(error.code).toBe("restore-differs");
    expect((await variables()).get("AUTH_SECRET")).toBe(NEW_SECRET);
    expect(state).toContain("stay so: AUTH_SECRET (had other values); GREETING (were not there)");
  });
});

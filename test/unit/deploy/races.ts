import { expect } from "vitest";
import { planEnvironment } from "../../../src/deploy/env-plan.ts";
import { checkServed } from "../../../src/deploy/push.ts";
import { same } from "../../../src/deploy/validators.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { type App, clientOf, deployApp, newApp, ROOMS, SCHEMA } from "./support.ts";

type Target = Pick<Standin, "url" | "adminKey">;

interface Outcome {
  readonly error: ActionError | undefined;
  readonly modules: ReadonlyMap<string, string>;
}

/** Variables in one batch, push, proof: what the action does, at the same time as another. */
async function deployOnce(app: App, standin: Target, value: string): Promise<Outcome> {
  const client = clientOf(standin);
  const wanted = new Map([
    ["FIRST", value],
    ["SECOND", value],
  ]);
  const present = await client.listVariables();
  const plan = planEnvironment({ wanted, present, prune: false, keep: [], leftOut: [] });
  await client.updateVariables([...plan.add, ...plan.change].map((name) => ({ name, value })));
  let modules: ReadonlyMap<string, string> = new Map();
  try {
    const { facts } = await deployApp(app, standin);
    modules = facts.modules ?? modules;
    await checkServed(client, modules);
    return { error: undefined, modules };
  } catch (error) {
    if (error instanceof ActionError) return { error, modules };
    throw error;
  }
}

/** Reads the variables until `work` is done: both always have the value of one deploy. */
async function watchVariables(standin: Target, work: Promise<unknown>): Promise<void> {
  const client = clientOf(standin);
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  while (!done) {
    const variables = await client.listVariables();
    expect(variables.get("FIRST")).toBe(variables.get("SECOND"));
    await client.instanceName();
  }
  await end;
}

/**
 * Two deploys at once, some rounds: the backend serves one of them as a whole, that one succeeded, and the other one
 * succeeded before or fails with a code that says why (contract 5.2).
 */
export async function raceRounds(rounds: number, schemas: "equal" | "different"): Promise<Record<string, number>> {
  await using standin = await startStandin();
  return await raceRoundsOn(standin, rounds, schemas);
}

/** The same on a backend that runs. */
export async function raceRoundsOn(
  standin: Target,
  rounds: number,
  schemas: "equal" | "different",
): Promise<Record<string, number>> {
  await using one = await newApp();
  await using other = await one.copy();
  const codes: Record<string, number> = {};
  for (let round = 1; round <= rounds; round += 1) {
    await one.write("convex/rooms.ts", ROOMS.replace("() => 1", `() => "one ${round}"`));
    await other.write("convex/rooms.ts", ROOMS.replace("() => 1", `() => "other ${round}"`));
    if (schemas === "different") {
      await one.write("convex/schema.ts", SCHEMA.replace("by_name", `by_one_${round}`));
      await other.write("convex/schema.ts", SCHEMA.replace("by_name", `by_other_${round}`));
    }
    const both = Promise.all([deployOnce(one, standin, `one ${round}`), deployOnce(other, standin, `other ${round}`)]);
    await watchVariables(standin, both);
    const outcomes = await both;
    const live = [...(await clientOf(standin).moduleHashes())];
    const served = outcomes.filter(({ modules }) => same(live.toSorted(), [...modules].toSorted()));
    expect(served.map(({ error }) => error?.text)).toEqual([undefined]);
    for (const { error } of outcomes) {
      const code = error?.code ?? "ok";
      expect(["ok", "deploy-raced", "deploy-overtaken", "backend-busy"], error?.text).toContain(code);
      codes[code] = (codes[code] ?? 0) + 1;
    }
  }
  return codes;
}

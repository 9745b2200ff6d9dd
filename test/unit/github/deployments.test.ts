import { describe, expect, it } from "vitest";
import { createDeployment, removeEnvironment, retire, setState } from "../../../src/github/deployments.ts";
import type { State } from "../../support/github/state.ts";
import { talk } from "./support.ts";

const PREVIEW = { environment: "convex-preview", task: "preview:pr-12" };
const NEIGHBOUR = { environment: "convex-preview", task: "preview:pr-13" };
const COMMIT = "1".repeat(40);
const states = (state: State): string[] =>
  state.deployments.map(({ task, statuses }) => `${task} ${statuses.map((one) => one.state).join(" → ")}`);

describe("a deployment", () => {
  it("goes through its states, and never retires another pull request's", async () => {
    await using to = await talk();
    const other = await createDeployment(to.github, { ...NEIGHBOUR, commit: COMMIT, description: "x" });
    await setState(to.github, NEIGHBOUR, other, { state: "success", url: "https://pr-13.example.com" });
    const id = await createDeployment(to.github, { ...PREVIEW, commit: COMMIT, description: "d".repeat(200) });
    for (const state of ["queued", "in_progress", "success"] as const)
      await setState(to.github, PREVIEW, id, { state });
    expect(states(to.api.state)).toEqual(["preview:pr-13 success", "preview:pr-12 queued → in_progress → success"]);
    expect(to.api.state.deployments[1]).toMatchObject({ transient: true, production: false, sha: COMMIT });
    expect(to.api.state.deployments[1]?.description).toHaveLength(140);
  });
  it("makes way for the next one of the same preview, and all go in the end", async () => {
    await using to = await talk();
    const one = async (what: typeof PREVIEW): Promise<number> => {
      const id = await createDeployment(to.github, { ...what, commit: COMMIT, description: "x" });
      await setState(to.github, what, id, { state: "success" });
      return id;
    };
    await one(NEIGHBOUR);
    await one(PREVIEW);
    const second = await one(PREVIEW);
    expect(await retire(to.github, PREVIEW, second)).toBe(1);
    const third = await one(PREVIEW);
    const before = to.api.requests.length;
    expect(await retire(to.github, PREVIEW, third)).toBe(1);
    // The list, two states and one change: what became inactive before is not looked through again.
    expect(to.api.requests.slice(before)).toHaveLength(4);
    expect(await retire(to.github, PREVIEW)).toBe(1);
    expect(await retire(to.github, PREVIEW)).toBe(0);
    expect(states(to.api.state)).toEqual([
      "preview:pr-13 success",
      "preview:pr-12 success → inactive",
      "preview:pr-12 success → inactive",
      "preview:pr-12 success → inactive",
    ]);
  });
  it("is found behind a hundred others, and a run that ended in the middle leaves none behind", async () => {
    await using to = await talk();
    for (let count = 0; count < 120; count += 1) {
      const id = await createDeployment(to.github, { ...PREVIEW, commit: COMMIT, description: "x" });
      if (count % 2 === 0) await setState(to.github, PREVIEW, id, { state: "success" });
    }
    // The run ends at the fourth change of a state.
    const inactive = () => to.api.state.deployments.map((one) => one.statuses.at(-1)?.state === "inactive");
    const oldest = to.api.state.deployments[3]?.id;
    to.api.troubles.push({ status: 422, of: new RegExp(`^POST .*/deployments/${oldest}/statuses$`) });
    await expect(retire(to.github, PREVIEW)).rejects.toMatchObject({ code: "github-failed" });
    expect(inactive().lastIndexOf(true)).toBe(2);
    expect(await retire(to.github, PREVIEW)).toBe(117);
    expect(inactive()).not.toContain(false);
  }, 60_000);
  it("that may not be written names the line that is missing", async () => {
    await using to = await talk();
    to.api.permissions.delete("deployments: write");
    await expect(createDeployment(to.github, { ...PREVIEW, commit: COMMIT, description: "x" })).rejects.toMatchObject({
      code: "github-permission",
      hint: expect.stringContaining("Add deployments: write"),
    });
  });
});

describe("an environment", () => {
  it("is removed where the token may, else left", async () => {
    await using to = await talk();
    const name = "convex-preview-pr-12/x";
    to.api.state.environments.add(name);
    expect(await removeEnvironment(to.github, name)).toBe("left");
    to.api.permissions.add("administration: write");
    expect(await removeEnvironment(to.github, name)).toBe("removed");
    expect(await removeEnvironment(to.github, name)).toBe("absent");
  });
});

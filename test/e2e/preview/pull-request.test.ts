/** One pull request's life in a local runner, its preview on another machine behind SSH. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ActRun } from "../harness/act.ts";
import { makeProject } from "../harness/act.ts";
import { leaks } from "../harness/leaks.ts";
import {
  commitOf,
  get,
  job,
  PREVIEW_SECRET,
  type PreviewHost,
  pullRequestEvent,
  startHost,
  template,
} from "./world.ts";

/** Ten workflows, one after the other. */
const PATIENCE_MS = 480_000;

let host: PreviewHost;
let project: string;
let clean: string[];
const runs: ActRun[] = [];
beforeAll(async () => {
  host = await startHost([1, 2, 3, 4, 5]);
  project = await makeProject();
  clean = await host.inventory();
}, 120_000);
afterAll(async () => {
  await host.stop();
});

/** Runs the workflow for an event of this pull request; it must succeed. */
async function on(number: number, action: string, vars: Readonly<Record<string, string>> = {}): Promise<ActRun> {
  const run = await job({ host, project, event: pullRequestEvent(host, number, action), vars });
  runs.push(run);
  expect(run.exitCode, run.log).toBe(0);
  return run;
}

const SCHEDULE = { name: "schedule", payload: { schedule: "17 3 * * *" } };
/** What a user may add to the template. */
const INPUTS = 'memory: 512m\nrun: |\n  seed:basic {"rooms": 3}';

/** Runs the template of the documentation. */
async function byTemplate(
  event: { name: string; payload: unknown },
  secrets: Readonly<Record<string, string>> = {},
): Promise<ActRun> {
  const run = await template({ host, project, event, inputs: INPUTS, secrets });
  runs.push(run);
  return run;
}

async function sweep(vars: Readonly<Record<string, string>> = {}): Promise<ActRun> {
  const run = await job({ host, project, event: SCHEDULE, vars: { COMMAND: "sweep", ...vars } });
  runs.push(run);
  expect(run.exitCode, run.log).toBe(0);
  return run;
}

/** Names of the previews on the host. */
const previews = async (): Promise<string[]> =>
  (await host.inventory()).flatMap((line) => /^container convex-preview-\w+-(pr-\d+) running$/.exec(line)?.[1] ?? []);

const states = (number: number): string[] =>
  host.github.state.deployments
    .filter(({ task }) => task === `preview:pr-${number}`)
    .map(({ statuses }) => statuses.map(({ state }) => state).join(" "));

describe("a pull request", () => {
  it(
    "gets a preview by the template, keeps it over a push, and loses it when it is closed",
    async () => {
      const on = async (action: string, secrets?: Readonly<Record<string, string>>): Promise<ActRun> => {
        const run = await byTemplate(pullRequestEvent(host, 1, action), secrets);
        expect(run.exitCode, run.log).toBe(0);
        return run;
      };
      const pull = host.github.state.open(1, { commit: commitOf(1) });
      const first = await on("opened");
      expect(first.outputs("preview")).toMatchObject({
        action: "up",
        name: "pr-1",
        url: "https://pr-1.preview.test",
        "site-url": "https://pr-1-site.preview.test",
        outcome: "created",
        deployed: "true",
      });
      expect(await get(host, "https://pr-1-site.preview.test/rooms")).toContain("Room 1");
      expect(first.summary).toContain("Preview pr-1 is up");
      expect(host.github.comments).toHaveLength(1);
      expect(host.github.comments[0]?.body).toContain("https://pr-1.preview.test");
      expect(states(1)).toEqual(["queued in_progress success"]);

      const again = await on("reopened");
      expect(again.outputs("preview")).toMatchObject({ outcome: "unchanged", deployed: "true" });
      expect(again.output("preview")).toContain("is deployed already");

      pull.commit = commitOf(2);
      const extra =
        'import { query } from "./_generated/server";\nexport const one = query({ args: {}, handler: () => 1 });\n';
      writeFileSync(join(project, "convex/extra.ts"), extra);
      const second = await on("synchronize");
      expect(second.outputs("preview")).toMatchObject({ outcome: "unchanged", deployed: "true", commit: commitOf(2) });
      // Seeded once: three rooms, not six.
      expect(JSON.parse(await get(host, "https://pr-1-site.preview.test/rooms"))).toHaveLength(3);
      expect(host.github.comments).toHaveLength(1);
      expect(host.github.comments[0]?.body).toContain(`Commit \`${commitOf(2).slice(0, 7)}\``);
      expect(host.github.comments[0]?.body).toContain(`which served \`${commitOf(1).slice(0, 7)}\` before`);
      expect(host.github.comments[0]?.body).toContain("| Functions | + extra:one |");

      // Made under the SSH key: another secret gives it another admin key, and leaves it its data.
      const other = await on("reopened", { PREVIEW_SECRET });
      expect(other.outputs("preview")).toMatchObject({ outcome: "recreated", deployed: "true" });
      expect(other.outputs("preview")["admin-key"]).not.toBe(second.outputs("preview")["admin-key"]);
      expect(JSON.parse(await get(host, "https://pr-1-site.preview.test/rooms"))).toHaveLength(3);

      pull.state = "closed";
      // Without it again: who removes a preview needs none.
      const last = await on("closed");
      expect(last.outputs("preview")["action"]).toBe("down");
      expect(await host.inventory()).toEqual(clean);
      expect(host.github.comments[0]?.body).toContain("Preview removed");
      expect(states(1).every((all) => all.endsWith("inactive"))).toBe(true);
      await on("closed");
      expect(await host.inventory()).toEqual(clean);
    },
    PATIENCE_MS,
  );

  it("is told by the template what keeps it from its preview", async () => {
    host.github.state.open(5, { commit: commitOf(5) });
    const run = await byTemplate(pullRequestEvent(host, 5, "opened"), { PREVIEW_SSH_KEY: host.remote.otherKey });
    expect(run.exitCode).not.toBe(0);
    expect(run.errorCode, run.log).toBe("ssh-key-refused");
    const told = host.github.comments.find(({ issue }) => issue === 5)?.body;
    expect(told).toContain(`No preview of \`${commitOf(5).slice(0, 7)}\``);
    expect(states(5)).toEqual(["queued in_progress failure"]);
    expect(await host.inventory()).toEqual(clean);
  });

  it(
    "loses its preview in a sweep when nobody told of its end, and to make room where it was idle longest",
    async () => {
      const { state } = host.github;
      for (const number of [2, 3, 4]) {
        state.open(number, { commit: commitOf(number) });
        await on(number, "opened");
      }
      expect(await previews()).toEqual(["pr-2", "pr-3", "pr-4"]);
      const three = state.pullRequests.find(({ number }) => number === 3);
      if (three !== undefined) three.state = "closed";

      const dry = await sweep({ DRY_RUN: "true" });
      expect(dry.summary).toContain("would be removed");
      expect(await previews()).toEqual(["pr-2", "pr-3", "pr-4"]);

      const real = await sweep({ MAX_PREVIEWS: "1" });
      expect(JSON.parse(real.outputs("convex")["removed"] ?? "")).toEqual(["pr-3", "pr-2"]);
      expect(await previews()).toEqual(["pr-4"]);
      const told = host.github.comments.filter(({ issue }) => [2, 3].includes(issue)).map(({ body }) => body);
      expect(told.every((body) => body.includes("Preview removed"))).toBe(true);
      expect(real.summary).toMatch(/pr-4 \| .* MB \| .* MB \| stays/);

      // A new one makes room for itself.
      await on(2, "synchronize", { MAX_PREVIEWS: "1" });
      expect(await previews()).toEqual(["pr-2"]);
      const body = host.github.comments.find(({ issue }) => issue === 4)?.body;
      expect(body).toMatch(/Preview removed .*max-previews allows 1/);

      const two = state.pullRequests.find(({ number }) => number === 2);
      if (two !== undefined) two.state = "closed";
      const last = await byTemplate(SCHEDULE);
      expect(last.exitCode, last.log).toBe(0);
      expect(last.outputs("preview")["action"]).toBe("sweep");
      expect(await host.inventory()).toEqual(clean);
    },
    PATIENCE_MS,
  );

  it("is told nothing that is secret, and GitHub nothing that it would not take", () => {
    expect(host.github.defects).toEqual([]);
    const told = [host.github.comments, host.github.state.deployments].map((list) => JSON.stringify(list)).join("\n");
    for (const run of runs) {
      const key = run.outputs("convex")["admin-key"] ?? run.outputs("preview")["admin-key"];
      const secrets = {
        PREVIEW_SECRET,
        key: host.remote.key,
        OPENAI: "sk-sentinel-openai-4711",
        ...(key === undefined ? {} : { admin: key }),
      };
      const argv = run.argv.filter((command) => !command.includes("--instance-secret")).join("\n");
      expect(leaks(secrets, { log: run.log, summary: run.summary, argv, told })).toEqual([]);
    }
  });
});

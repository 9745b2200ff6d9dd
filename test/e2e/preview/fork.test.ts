/** A fork's pull request: bundled without secrets, previewed without its code meeting any. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { folder } from "../docker/support.ts";
import { makeProject } from "../harness/act.ts";
import { commitOf, get, job, type PreviewHost, pullRequestEvent, startHost } from "./world.ts";

const workflow = "fork-preview.yml";
let host: PreviewHost;
let clean: string[];
beforeAll(async () => {
  host = await startHost([1, 5], "caddy");
  clean = await host.inventory();
}, 120_000);
afterAll(async () => {
  await host.stop();
});

describe("a fork's pull request", () => {
  it("gets a preview of the reviewed commit, on a network of its own, with fork-env alone", async () => {
    const project = await makeProject();
    const { state } = host.github;
    state.permissions.set("grace", "write");
    const commit = commitOf(5);
    const pull = state.open(5, { commit, from: "stranger/app", author: "stranger" });
    const vars = { PUSH_FILE: join(folder(), "push.json") };
    const at = (name: string, action: string, label?: string) => ({
      name,
      payload: pullRequestEvent(host, 5, action, label === undefined ? {} : { label: { name: label } }).payload,
    });
    const bySender = (event: { name: string; payload: unknown }) => ({
      ...event,
      payload: { ...(event.payload as object), sender: { login: "grace" } },
    });

    const bundled = await job({ host, project, workflow, vars, event: at("pull_request", "opened") });
    expect(bundled.exitCode, bundled.log).toBe(0);
    expect(existsSync(vars.PUSH_FILE)).toBe(true);
    expect(readFileSync(vars.PUSH_FILE, "utf8")).not.toContain("adminKey");

    // Labelled, and nobody has reviewed it.
    state.label(5, "preview-fork", "grace");
    const early = await job({
      host,
      project,
      workflow,
      vars,
      event: bySender(at("pull_request_target", "labeled", "preview-fork")),
    });
    expect(early.errorCode, early.log).toBe("fork-refused");
    expect(await host.inventory()).toEqual(clean);

    state.happened(5, { event: "reviewed", by: "grace", commit, state: "approved" });
    const run = await job({
      host,
      project,
      workflow,
      vars,
      event: bySender(at("pull_request_target", "labeled", "preview-fork")),
    });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("convex")).toMatchObject({ name: "pr-5", deployed: "true", commit });
    expect(await get(host, "https://pr-5-site.preview.test/rooms")).toBe("[]");
    const { remote } = host;
    const id =
      (await host.inventory()).flatMap((line) => /^container (\S+-pr-5) running/.exec(line)?.[1] ?? [])[0] ?? "";
    const networks = await remote.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", id);
    expect(Object.keys(JSON.parse(networks) as object)).toEqual([`${id}.net`]);
    const key = run.outputs("convex")["admin-key"] ?? "";
    const listed = await remote.docker(
      ...["exec", id, "curl", "-s", "-H", `Authorization: Convex ${key}`],
      "http://127.0.0.1:3210/api/v1/list_environment_variables",
    );
    expect(JSON.parse(listed)).toEqual({ environmentVariables: { GREETING: "from outside" } });
    // The gateway leads in, and nothing leads from the fork's network to the proxy's.
    const gateway = await remote.docker(
      "inspect",
      "-f",
      '{{(index .NetworkSettings.Networks "proxy").IPAddress}}',
      `${id}.gateway`,
    );
    const reach = await remote
      .docker("exec", id, "curl", "-s", "--max-time", "3", `http://${gateway}:3210/version`)
      .then(
        () => "reached",
        () => "not reached",
      );
    expect(reach).toBe("not reached");

    pull.state = "closed";
    const last = await job({ host, project, workflow, vars, event: at("pull_request_target", "closed") });
    expect(last.exitCode, last.log).toBe(0);
    expect(await host.inventory()).toEqual(clean);
    expect(host.github.defects).toEqual([]);
  }, 300_000);
});

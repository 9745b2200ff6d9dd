/** Whole runs that end before they need a host, against the double of GitHub's API. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { preview } from "../../../src/preview/preview.ts";
import { type TestDeps, testDeps } from "../backend/docker/support.ts";
import { type Talk, TOKEN, talk } from "../github/support.ts";
import { pullRequestJson } from "./events.ts";

let folder: string;
let to: Talk;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "preview-"));
  for (const name of ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"]) {
    writeFileSync(join(folder, name), "");
    vi.stubEnv(name, join(folder, name));
  }
  to = await talk();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
  await to[Symbol.asyncDispose]();
});

interface Event {
  readonly name?: string;
  readonly action?: string;
  readonly label?: string;
  readonly labels?: readonly string[];
  readonly from?: string;
  readonly author?: string;
}

/** As docs/previews.md has it, with the inputs empty that such a run has not. */
async function run(
  { name = "pull_request", action = "opened", label, ...pull }: Event,
  given: Readonly<Record<string, string>> = {},
): Promise<TestDeps> {
  const event = join(folder, "event.json");
  writeFileSync(
    event,
    JSON.stringify({
      action,
      ...(label === undefined ? {} : { label: { name: label } }),
      sender: { login: "ada" },
      pull_request: pullRequestJson(pull),
    }),
  );
  const deps = testDeps({
    GITHUB_EVENT_NAME: name,
    GITHUB_EVENT_PATH: event,
    GITHUB_REPOSITORY: "acme/chat",
    GITHUB_API_URL: to.api.url,
    RUNNER_TEMP: folder,
  });
  const inputs: Readonly<Record<string, string>> = {
    host: "ssh://deploy@preview.example.com",
    domain: "{name}.preview.example.com",
    "github-token": TOKEN,
    ...given,
  };
  await preview((input) => inputs[input] ?? "", deps, deps.clock.now());
  return deps;
}

const outputs = (): string => readFileSync(join(folder, "GITHUB_OUTPUT"), "utf8");

describe("a run without secrets", () => {
  it.each<[string, Event, Record<string, string>]>([
    ["a fork", { from: "stranger/chat" }, {}],
    ["a fork, with variables missing too", { from: "stranger/chat" }, { host: "", domain: "" }],
    ["a fork whose pull request is closed", { from: "stranger/chat", action: "closed" }, {}],
    ["Dependabot", { author: "dependabot[bot]" }, {}],
  ])("of %s is skipped with a notice", async (_, event, given) => {
    const { lines } = await run(event, given);
    expect(lines).toContainEqual({ level: "notice", message: expect.stringMatching(/^No preview: pull request 12/) });
    expect(outputs()).toMatch(/action<<[^\n]+\nskip\n/);
    expect(to.api.requests).toEqual([]);
  });

  it("of an own branch is told what is missing or wrong, before GitHub is asked", async () => {
    await expect(run({})).rejects.toMatchObject({ code: "input-missing", message: expect.stringContaining("ssh-key") });
    const access = { "ssh-key": "what is no private key", "known-hosts": "host ssh-ed25519 AAAA" };
    await expect(run({}, access)).rejects.toMatchObject({ code: "ssh-key-invalid" });
    expect(to.api.requests).toEqual([]);
  });
});

describe("a fork's pull request in a run that has secrets", () => {
  const fork: Event = { name: "pull_request_target", from: "stranger/chat" };
  const given = { "fork-label": "preview-fork" };

  it("is told from its opening on what it waits for, in one comment", async () => {
    await run(fork, given);
    await run({ ...fork, action: "synchronize" }, given);
    expect(to.api.comments.map(({ body }) => body)).toEqual([
      expect.stringMatching(/^⚠️ \*\*Waiting:\*\* pull request 12 comes from a fork: its commit 1111111 waits until/),
    ]);
    const asked = to.api.requests.length;
    await run({ ...fork, action: "labeled", label: "bug" }, given);
    await run({ ...fork, name: "pull_request" }, given);
    expect(to.api.requests).toHaveLength(asked);
  });

  it("loses the label that was set for the commit before", async () => {
    const pull = to.api.state.open(12, { labels: ["preview-fork"] });
    await run({ ...fork, action: "synchronize", labels: ["preview-fork"] }, given);
    expect(pull.labels).toEqual([]);
  });
});

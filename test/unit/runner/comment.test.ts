import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pullRequestOf, writeComment } from "../../../src/runner/comment.ts";
import { BOT, GitHubApi } from "../../support/github.ts";

const TOKEN = "ghs_0123456789abcdef";
const write = (api: GitHubApi, body: string, more: { marker?: string; token?: string } = {}) =>
  writeComment({
    token: TOKEN,
    apiUrl: api.url,
    repository: "acme/chat",
    number: 7,
    marker: "deploy 1",
    body,
    ...more,
  });

describe("the comment", () => {
  it("is created once and then updated, also behind a hundred others", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    for (let count = 0; count < 130; count += 1) api.add({ login: "somebody", type: "User" }, `comment ${count}`);
    expect(await write(api, "first")).toBe("created");
    expect(await write(api, "second")).toBe("updated");
    expect(api.comments).toHaveLength(131);
    expect(api.comments.at(-1)?.body).toBe("second\n\n<!-- deploy 1 -->\n");
    expect(api.requests.filter((request) => request.includes("page=2"))).not.toEqual([]);
  });
  it("is told from those of another marker, of another account and of another pull request", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    api.add(BOT, "<!-- deploy 2 -->");
    api.add({ login: "mallory", type: "User" }, "<!-- deploy 1 -->");
    api.add(BOT, "<!-- deploy 1 -->", 8);
    expect(await write(api, "mine")).toBe("created");
    expect(api.comments.map(({ body }) => body.split("\n")[0])).toEqual([
      "<!-- deploy 2 -->",
      "<!-- deploy 1 -->",
      "<!-- deploy 1 -->",
      "mine",
    ]);
  });
  it("of a token that knows its account is looked for under that account", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    api.self = { login: "release-bot", type: "User" };
    api.add(BOT, "<!-- deploy 1 -->");
    const own = api.add(api.self, "<!-- deploy 1 -->");
    expect(await write(api, "mine")).toBe("updated");
    expect(own.body).toContain("mine");
  });
  it("is cut where GitHub would refuse it", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    await write(api, "x".repeat(100_000));
    expect(api.comments[0]?.body).toContain("(Cut here");
    expect(api.comments[0]?.body).toContain("<!-- deploy 1 -->");
  });
  it("that may not be written is an error for the caller", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    api.readOnly = true;
    await expect(write(api, "x")).rejects.toThrow("Resource not accessible by integration");
    await expect(write(api, "x", { token: "ghs_other" })).rejects.toThrow("Bad credentials");
  });
});

describe("the pull request", () => {
  it("is that of the event, and none for other events", async () => {
    const directory = await mkdtemp(join(tmpdir(), "event-"));
    const path = join(directory, "event.json");
    await writeFile(path, JSON.stringify({ pull_request: { number: 7 } }));
    const of = (event: string, file = path) => pullRequestOf({ GITHUB_EVENT_NAME: event, GITHUB_EVENT_PATH: file });
    expect([of("pull_request"), of("pull_request_target"), of("push"), of("pull_request", "/nowhere")]).toEqual([
      7,
      7,
      undefined,
      undefined,
    ]);
    expect(pullRequestOf({})).toBeUndefined();
    await rm(directory, { recursive: true });
  });
});

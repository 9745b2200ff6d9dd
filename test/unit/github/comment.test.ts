import { describe, expect, it } from "vitest";
import type { GitHub } from "../../../src/github/client.ts";
import { writeComment } from "../../../src/github/comment.ts";
import { mask } from "../../../src/runner/mask.ts";
import { BOT, GitHubApi } from "../../support/github/api.ts";
import { TOKEN, talk } from "./support.ts";

const write = (github: GitHub, body: string, create = true) =>
  writeComment(github, { number: 7, marker: "deploy 1", body, create });

describe("the comment", () => {
  it("is created once and then updated, also behind a hundred others", async () => {
    await using to = await talk();
    for (let count = 0; count < 130; count += 1) to.api.add({ login: "somebody", type: "User" }, `comment ${count}`);
    expect(await write(to.github, "first")).toBe("created");
    expect(await write(to.github, "second")).toBe("updated");
    expect(to.api.comments).toHaveLength(131);
    expect(to.api.comments.at(-1)?.body).toBe("second\n\n<!-- deploy 1 -->\n");
    expect(to.api.requests.filter((request) => request.includes("page=2"))).not.toEqual([]);
  });
  it("is not written again when it says the same", async () => {
    await using to = await talk();
    await write(to.github, "same");
    const before = to.api.requests.length;
    expect(await write(to.github, "same")).toBe("unchanged");
    expect(to.api.requests.slice(before)).toEqual(["GET /repos/acme/chat/issues/7/comments?per_page=100"]);
  });
  it("is told from those of another marker, of another account and of another pull request", async () => {
    await using to = await talk();
    to.api.add(BOT, "<!-- deploy 2 -->");
    to.api.add({ login: "mallory", type: "User" }, "<!-- deploy 1 -->");
    to.api.add(BOT, "<!-- deploy 1 -->", 8);
    expect(await write(to.github, "mine")).toBe("created");
    expect(to.api.comments.map(({ body }) => body.split("\n")[0])).toEqual([
      "<!-- deploy 2 -->",
      "<!-- deploy 1 -->",
      "<!-- deploy 1 -->",
      "mine",
    ]);
  });
  it("is told from one that another bot wrote with the same marker", async () => {
    await using to = await talk();
    const foreign = to.api.add({ login: "copycat[bot]", type: "Bot" }, "<!-- deploy 1 -->");
    expect(await write(to.github, "mine")).toBe("created");
    expect(await write(to.github, "again")).toBe("updated");
    expect(foreign.body).toBe("<!-- deploy 1 -->");
    expect(to.api.comments).toHaveLength(2);
  });
  it("of a token that knows its account is looked for under that account", async () => {
    const token = "ghp_0123456789abcdef";
    await using api = await new GitHubApi(token).listen();
    await using to = await talk();
    const { GitHub: Client } = await import("../../../src/github/client.ts");
    const github = await Client.connect({
      token,
      apiUrl: api.url,
      repository: "acme/chat",
      clock: to.clock,
      log: { info: () => undefined },
    });
    api.self = { login: "release-bot", type: "User" };
    api.add(BOT, "<!-- deploy 1 -->");
    const own = api.add(api.self, "<!-- deploy 1 -->");
    expect(await write(github, "mine")).toBe("updated");
    expect(own.body).toContain("mine");
    expect(api.defects).toEqual([]);
  });
  it("is left out where only one that is there should change", async () => {
    await using to = await talk();
    expect(await write(to.github, "gone", false)).toBe("absent");
    await write(to.github, "here");
    expect(await write(to.github, "gone", false)).toBe("updated");
  });
  it("is cut where GitHub would refuse it, and holds no secret", async () => {
    await using to = await talk();
    mask("s3cret-admin-key");
    await write(to.github, `s3cret-admin-key ${"x".repeat(100_000)}`);
    expect(to.api.comments[0]?.body).toMatch(/^\*\*\* x+/);
    expect(to.api.comments[0]?.body).toContain("(Cut here");
    expect(to.api.comments[0]?.body).toContain("<!-- deploy 1 -->");
  });
  it("that may not be written names the line that is missing", async () => {
    await using to = await talk();
    await write(to.github, "x");
    to.api.readOnly = true;
    await expect(write(to.github, "y")).rejects.toMatchObject({
      code: "github-permission",
      message: expect.stringContaining("Resource not accessible by integration"),
      hint: expect.stringContaining("Add pull-requests: write to the permissions:"),
    });
  });
  it("is not written with a token that GitHub does not know", async () => {
    await using to = await talk({ token: `${TOKEN}x` });
    await expect(write(to.github, "x")).rejects.toMatchObject({ code: "github-token-rejected" });
  });
});

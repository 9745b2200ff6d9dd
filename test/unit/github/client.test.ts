import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { pauseAfter } from "../../../src/github/limits.ts";
import { openAmong, pullRequest, removeLabel } from "../../../src/github/pull-request.ts";
import { NOW, talk } from "./support.ts";

const SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

describe("a client of GitHub", () => {
  it("waits as long as GitHub asks for, and says so", async () => {
    await using to = await talk();
    to.api.state.open(12);
    to.api.troubles.push({ status: 403, message: SECONDARY, headers: { "retry-after": "7" } });
    to.api.troubles.push({ status: 429, message: "Too many", headers: { "retry-after": "3" } });
    const reset = String(Math.floor(NOW / 1000) + 30);
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    to.api.troubles.push({ status: 403, message: "API rate limit exceeded for installation", headers });
    expect(await pullRequest(to.github, 12)).toMatchObject({ number: 12, open: true });
    expect(to.clock.slept).toEqual([7000, 3000, 21_000]);
    expect(to.lines[0]).toBe(
      "GitHub limits how many calls it takes (GET /repos/{owner}/{repo}/pulls/{pull_number}); asked again in 7 s.",
    );
  });
  it("gives up where the wait would be longer than it may hold a job up, and says until when", async () => {
    await using to = await talk();
    const reset = String(Math.floor(NOW / 1000) + 3000);
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
    to.api.troubles.push({ status: 403, message: "API rate limit exceeded", headers });
    await expect(pullRequest(to.github, 12)).rejects.toMatchObject({
      code: "github-rate-limit",
      message: expect.stringContaining("until 18:50:01 UTC"),
    });
    expect(to.clock.slept).toEqual([]);
  });
  it("waits a minute for a secondary limit without a header, and not for ever", async () => {
    await using to = await talk({ patienceMs: 100_000 });
    to.api.troubles.push({ status: 403, message: SECONDARY }, { status: 403, message: SECONDARY });
    await expect(pullRequest(to.github, 12)).rejects.toMatchObject({ code: "github-rate-limit" });
    expect(to.clock.slept).toEqual([60_000]);
  });
  it("asks again after faults that pass, but never writes twice what may have been done", async () => {
    await using to = await talk();
    to.api.state.open(12);
    to.api.troubles.push({ status: 502 }, { status: 500 });
    expect(await pullRequest(to.github, 12)).toMatchObject({ number: 12 });
    expect(to.clock.slept).toEqual([1000, 2000]);
    expect(
      pauseAfter({ status: 502, headers: {}, message: "" }, { method: "POST", attempt: 0, now: 0 }),
    ).toBeUndefined();
    expect(
      pauseAfter({ status: 422, headers: {}, message: "" }, { method: "GET", attempt: 0, now: 0 }),
    ).toBeUndefined();
    for (let count = 0; count < 4; count += 1) to.api.troubles.push({ status: 503 });
    await expect(pullRequest(to.github, 12)).rejects.toMatchObject({ code: "github-failed" });
  });
  it("works on a server with a path of its own", async () => {
    await using to = await talk({ base: "/api/v3" });
    to.api.state.open(12);
    expect(await pullRequest(to.github, 12)).toMatchObject({ number: 12 });
  });
  it("sends its token to no other server, even if a page says that the next one is there", async () => {
    await using to = await talk();
    const seen: unknown[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end("[]");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const elsewhere = `http://127.0.0.1:${(other.address() as AddressInfo).port}/repos/acme/chat/pulls?page=2`;
    to.api.troubles.push({ status: 200, body: [], headers: { link: `<${elsewhere}>; rel="next"` } });
    await expect(openAmong(to.github, [1])).rejects.toMatchObject({
      code: "github-failed",
      message: expect.stringContaining("the token is not for"),
    });
    expect(seen).toEqual([]);
    await new Promise<void>((resolve) => other.close(() => resolve()));
  });
  it("is told apart from a pull request that is not there", async () => {
    await using to = await talk();
    await expect(pullRequest(to.github, 99)).rejects.toMatchObject({
      code: "github-permission",
      message: expect.stringContaining("404 for what a token may not see"),
    });
  });
});

describe("the open pull requests", () => {
  it("are found over all pages, also when one closes while they are read", async () => {
    await using to = await talk();
    for (let number = 1; number <= 250; number += 1) to.api.state.open(number);
    to.api.onPage = (page) => {
      const first = to.api.state.pullRequests[0];
      if (page === 1 && first !== undefined) first.state = "closed";
    };
    // Number 101 moves from the second page to the first, which was read already.
    const open = await openAmong(to.github, [1, 100, 101, 102, 250, 999]);
    expect(open.map(({ number }) => number).sort((a, b) => a - b)).toEqual([1, 100, 101, 102, 250]);
    expect(to.api.requests.filter((line) => /pulls\/\d/.test(line))).toEqual([
      "GET /repos/acme/chat/pulls/101",
      "GET /repos/acme/chat/pulls/999",
    ]);
  });
  it("are not asked for where there is no preview", async () => {
    await using to = await talk();
    expect(await openAmong(to.github, [])).toEqual([]);
    expect(to.api.requests).toEqual([]);
  });
  it("that may not be listed are an error, never an empty list", async () => {
    await using to = await talk();
    to.api.permissions.clear();
    await expect(openAmong(to.github, [1])).rejects.toMatchObject({
      code: "github-permission",
      hint: expect.stringContaining("pull-requests: read"),
    });
  });
});

describe("a label", () => {
  it("is taken off where it is there", async () => {
    await using to = await talk();
    const one = to.api.state.open(12, { labels: ["preview fork/ü"] });
    expect(await removeLabel(to.github, 12, "preview fork/ü")).toBe(true);
    expect(one.labels).toEqual([]);
    expect(await removeLabel(to.github, 12, "preview fork/ü")).toBe(false);
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { apiUrlOf, eventOf, pullRequestOf, runUrlOf } from "../../../src/runner/event.ts";

describe("the event", () => {
  it("is read with its name and payload, and the pull request from those that have one", async () => {
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
    expect(eventOf({ GITHUB_EVENT_NAME: "push", GITHUB_EVENT_PATH: path })).toEqual({
      name: "push",
      payload: { pull_request: { number: 7 } },
    });
    await rm(directory, { recursive: true });
  });
  it("belongs to a run with a page, and to a server with an API", () => {
    const env = { GITHUB_SERVER_URL: "https://ghe.example.com", GITHUB_REPOSITORY: "acme/chat", GITHUB_RUN_ID: "5" };
    expect(runUrlOf(env)).toBe("https://ghe.example.com/acme/chat/actions/runs/5");
    expect(runUrlOf({})).toBeUndefined();
    expect([apiUrlOf({}), apiUrlOf({ GITHUB_API_URL: "https://ghe.example.com/api/v3" })]).toEqual([
      "https://api.github.com",
      "https://ghe.example.com/api/v3",
    ]);
  });
});

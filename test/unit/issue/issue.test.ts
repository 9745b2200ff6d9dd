import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { readFindings } from "../../../src/issue/findings.ts";
import { readIssueInputs } from "../../../src/issue/inputs.ts";
import { issue, keepIssue } from "../../../src/issue/issue.ts";
import { githubTracker } from "../../../src/issue/tracker.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { mask } from "../../../src/runner/mask.ts";
import { systemDeps } from "../../../src/system/system.ts";
import { IssuesApi } from "../../support/github-issues.ts";

const TOKEN = "ghs_0123456789abcdef";
const ENV = {
  GITHUB_SERVER_URL: "https://github.com",
  GITHUB_REPOSITORY: "acme/chat",
  GITHUB_RUN_ID: "42",
  GITHUB_WORKFLOW: "Doctor",
};
const finding = (check: string, level = "error"): unknown => ({
  check,
  level,
  what: `${check} is wrong`,
  why: "w",
  fix: "f",
});

async function keep(api: IssuesApi, inputs: Readonly<Record<string, string>> = {}) {
  const all: Readonly<Record<string, string>> = { key: "doctor a", title: "Something is wrong", ...inputs };
  const tracker = await githubTracker({ token: TOKEN, apiUrl: api.url, repository: "acme/chat" });
  return await keepIssue(
    readIssueInputs((name) => all[name] ?? ""),
    tracker,
    ENV,
  );
}

describe("the issue of a key", () => {
  it("is opened by the first failure, with what is wrong, why and the run, and without what is well", async () => {
    await using api = await new IssuesApi(TOKEN).listen();
    const findings = JSON.stringify([finding("websocket"), finding("origins", "notice"), finding("reach", "ok")]);
    expect(await keep(api, { findings, labels: "convex\nops" })).toMatchObject({
      done: "opened",
      issue: { number: 1 },
    });
    const [opened] = api.issues;
    expect(opened).toMatchObject({ title: "Something is wrong", labels: ["convex", "ops"], state: "open" });
    expect(opened?.body).toContain("| ❌ | websocket | websocket is wrong<br>w | f |");
    expect(opened?.body).not.toContain("origins");
    expect(opened?.body).toContain("[Run 42](https://github.com/acme/chat/actions/runs/42)");
  });

  it("is updated by the next failures, with a comment only when other things are wrong", async () => {
    await using api = await new IssuesApi(TOKEN).listen();
    await keep(api, { findings: JSON.stringify([finding("tls")]) });
    expect((await keep(api, { findings: JSON.stringify([finding("tls")]), title: "Still" })).done).toBe("updated");
    expect(api.issues).toHaveLength(1);
    expect(api.issues[0]).toMatchObject({ title: "Still", comments: [] });
    await keep(api, { findings: JSON.stringify([finding("tls"), finding("origins", "warning")]) });
    expect(api.issues[0]?.comments).toHaveLength(1);
    expect(api.issues[0]?.body).toContain("origins");
  });

  it("is closed by a success, also where two runs opened two, and opened anew later", async () => {
    await using api = await new IssuesApi(TOKEN).listen();
    await keep(api, { details: "first" });
    api.add({ body: api.issues[0]?.body ?? "" });
    expect((await keep(api, { outcome: "success" })).done).toBe("closed");
    expect(api.issues.map(({ state, stateReason }) => `${state} ${stateReason}`)).toEqual([
      "closed completed",
      "closed completed",
    ]);
    expect((await keep(api, { outcome: "success" })).done).toBe("nothing");
    expect((await keep(api, { details: "again" })).issue?.number).toBe(3);
  });

  it.each(["cancelled", "skipped"])("is left alone by a run that was %s", async (outcome) => {
    await using api = await new IssuesApi(TOKEN).listen();
    await keep(api, { details: "first" });
    expect((await keep(api, { outcome })).done).toBe("nothing");
    expect(api.issues[0]).toMatchObject({ state: "open", comments: [] });
  });

  it("is found behind 150 others, and told from those of other keys and people, and from pull requests", async () => {
    await using api = await new IssuesApi(TOKEN).listen();
    await keep(api, { key: "doctor b" });
    const marked = (await keep(api)).issue?.body ?? "";
    api.issues.length = 1;
    for (let count = 0; count < 150; count += 1) api.add({ user: { login: "ada", type: "User" } });
    api.add({ user: { login: "mallory", type: "User" }, body: marked });
    api.add({ pullRequest: true, body: marked });
    api.add({ state: "closed", body: marked });
    const mine = api.add({ body: marked });
    expect(await keep(api)).toMatchObject({ done: "updated", issue: { number: mine.number } });
    api.self = { login: "release-bot", type: "User" };
    expect((await keep(api)).done).toBe("opened");
  });
});

describe("what is written", () => {
  it("takes no text of findings for markup, and shows no masked value", async () => {
    await using api = await new IssuesApi(TOKEN).listen();
    mask("sk-4711-sentinel");
    const nasty = { ...(finding("x") as object), what: "<img src=x> @ada [a](b) | sk-4711-sentinel\n::error::x" };
    await keep(api, { findings: JSON.stringify([nasty]), title: "sk-4711-sentinel", details: "@team <!-- x -->" });
    const [opened] = api.issues;
    expect(opened?.title).toBe("***");
    expect(opened?.body).not.toMatch(/<img|@ada|@team|<!-- x|\[a\]\(b\)|sk-4711/);
  });

  it("is cut where GitHub would refuse it, and found again all the same", async () => {
    await using api = await new IssuesApi(TOKEN).listen();
    await keep(api, { details: "x".repeat(100_000) });
    expect((await keep(api, { details: "x".repeat(100_000) })).done).toBe("updated");
    expect(api.issues[0]?.comments).toEqual([]);
  });
});

describe("findings", () => {
  it("may be the path of a file, as outputs above 256 KiB are", async () => {
    const folder = await mkdtemp(join(tmpdir(), "findings-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "findings");
    await writeFile(file, JSON.stringify([finding("tls")]));
    expect(readFindings(file)).toMatchObject([{ check: "tls" }]);
  });

  it.each(["{", "{}", '[{"check":"a"}]', '[{"check":"a","level":"bad","what":"","why":"","fix":""}]'])(
    "refuse %s",
    (text) => {
      expect(() => readFindings(text)).toThrow(ActionError);
    },
  );
});

describe("a refusal of GitHub", () => {
  it.each([
    [403, "issues: write"],
    [410, "switched off"],
    [500, "githubstatus.com"],
  ])("%i says what to do", async (status, hint) => {
    await using api = await new IssuesApi(TOKEN).listen();
    api.refuseWith = status;
    const inputs: Readonly<Record<string, string>> = { key: "a", title: "b", "github-token": TOKEN };
    const deps = { ...systemDeps, env: { ...ENV, GITHUB_API_URL: api.url } };
    const failure = await issue((name) => inputs[name] ?? "", deps).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "issue-refused" });
    expect((failure as ActionError).hint).toContain(hint);
  });
});

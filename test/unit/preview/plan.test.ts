import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPullRequest } from "../../../src/github/pull-request.ts";
import { parseTemplate, previewName } from "../../../src/preview/names.ts";
import { type PreviewPolicy, planPreview, superseded, withCurrent } from "../../../src/preview/plan.ts";
import { COMMIT, NEXT, otherEvent, type PullRequestFields, pullRequestEvent, pullRequestJson, RUN } from "./events.ts";

const UP: PreviewPolicy = {
  command: "up",
  domain: parseTemplate("domain", "{name}.preview.example.com"),
  drafts: false,
};
const plan = (event: ReturnType<typeof pullRequestEvent>, more: Partial<PreviewPolicy> = {}, actor = "ada") =>
  planPreview(event, { ...UP, ...more }, { ...RUN, actor });
const thrown = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

describe("a pull request of the repository itself", () => {
  it.each(["opened", "reopened", "synchronize", "ready_for_review", "labeled", "unlabeled", "edited"])(
    "%s is deployed",
    (action) => {
      expect(plan(pullRequestEvent(action))).toEqual({
        action: "up",
        name: "pr-12",
        number: 12,
        commit: COMMIT,
        branch: "feat/login",
        origins: { cloud: "https://pr-12.preview.example.com", site: "https://pr-12-site.preview.example.com" },
        fork: false,
      });
    },
  );
  it("is deployed by pull_request_target too", () => {
    expect(plan(pullRequestEvent("opened", { target: true }))).toMatchObject({ action: "up", fork: false });
  });
  it("has no origins where free ports decide", () => {
    const { domain: _, ...without } = UP;
    expect(planPreview(pullRequestEvent("opened"), without, RUN)).not.toHaveProperty("origins");
  });
  it("goes when it is closed or merged, whatever the workflow asked for", () => {
    for (const command of ["up", "down"] as const) {
      for (const merged of [true, false]) {
        expect(plan(pullRequestEvent("closed", { state: "closed", merged }), { command })).toEqual({
          action: "down",
          name: "pr-12",
          number: 12,
          why: "pull request 12 is closed",
        });
      }
    }
  });
  it("goes when the workflow asks for it", () => {
    expect(plan(pullRequestEvent("labeled"), { command: "down" })).toMatchObject({
      action: "down",
      why: "the workflow asked for it",
    });
  });
  it("has none as a draft, unless drafts do", () => {
    expect(plan(pullRequestEvent("opened", { draft: true }))).toEqual({
      action: "skip",
      name: "pr-12",
      number: 12,
      why: "pull request 12 is a draft",
    });
    expect(plan(pullRequestEvent("converted_to_draft", { draft: true }))).toMatchObject({ action: "down" });
    expect(plan(pullRequestEvent("opened", { draft: true }), { drafts: true })).toMatchObject({ action: "up" });
  });
  it("needs the label where there is one, and goes when that is taken off", () => {
    const label = "preview";
    expect(plan(pullRequestEvent("opened"), { label })).toMatchObject({
      action: "skip",
      why: 'pull request 12 does not carry the label "preview"',
    });
    expect(plan(pullRequestEvent("labeled", { labels: ["preview"], label }), { label })).toMatchObject({
      action: "up",
    });
    expect(plan(pullRequestEvent("unlabeled", { label }), { label })).toMatchObject({ action: "down" });
    expect(plan(pullRequestEvent("unlabeled", { labels: ["preview"], label: "bug" }), { label })).toMatchObject({
      action: "up",
    });
  });
  it("is called as the input says, but never like another pull request", () => {
    expect(plan(pullRequestEvent("opened"), { name: "pr-12-web" })).toMatchObject({ name: "pr-12-web", number: 12 });
    expect(plan(pullRequestEvent("opened"), { name: "pr-12" })).toMatchObject({ name: "pr-12" });
    expect(plan(pullRequestEvent("opened"), { name: "Feat/Login" })).toMatchObject({ name: previewName("Feat/Login") });
    expect(thrown(() => plan(pullRequestEvent("opened"), { name: "pr-13" }))).toMatchObject({ code: "preview-name" });
  });
  it("keeps its name when its branch is renamed", () => {
    expect(plan(pullRequestEvent("synchronize", { branch: "feat/other" }))).toMatchObject({
      name: "pr-12",
      branch: "feat/other",
    });
  });
});

describe("code from outside", () => {
  const OUTSIDE: [string, PullRequestFields, string?][] = [
    ["a fork", { from: "mallory/chat", author: "mallory" }],
    ["a deleted fork", { from: null, author: "mallory" }],
    ["Dependabot", { author: "dependabot[bot]" }],
    ["a run of Dependabot", {}, "dependabot[bot]"],
  ];
  const forkLabel = "preview-fork";
  it.each(OUTSIDE)("of %s is not deployed without secrets, and says why", (_, fields, actor) => {
    expect(plan(pullRequestEvent("opened", fields), {}, actor)).toMatchObject({
      action: "skip",
      why: expect.stringContaining("whose runs get no secrets"),
    });
    expect(plan(pullRequestEvent("closed", { ...fields, state: "closed" }), {}, actor)).toMatchObject({
      action: "skip",
      why: expect.stringContaining("the sweep removes its preview"),
    });
  });
  it.each(OUTSIDE)("of %s is refused where the run has secrets, without the setup", (_, fields, actor) => {
    expect(thrown(() => plan(pullRequestEvent("opened", { ...fields, target: true }), {}, actor))).toMatchObject({
      code: "fork-refused",
      hint: expect.stringContaining("docs/previews-forks.md"),
    });
  });
  it.each(OUTSIDE)("of %s waits for the label, and its event alone counts", (_, fields, actor) => {
    const event = (action: string, more: Parameters<typeof pullRequestEvent>[1] = {}) =>
      plan(pullRequestEvent(action, { ...fields, target: true, ...more }), { forkLabel }, actor);
    const why = expect.stringContaining("its commit 1111111 waits");
    expect(event("opened")).toMatchObject({ action: "skip", why, waits: true });
    // The commit may be up already.
    const bug = event("labeled", { labels: ["bug", forkLabel], label: "bug" });
    expect(bug).toMatchObject({ action: "skip" });
    for (const other of [bug, event("edited")]) expect(other).not.toHaveProperty("waits");
    expect(event("reopened", { labels: [forkLabel] })).toMatchObject({
      action: "skip",
      waits: true,
      staleLabel: forkLabel,
    });
    expect(event("ready_for_review")).toHaveProperty("waits");
    expect(event("labeled", { labels: [forkLabel], label: forkLabel, sender: "grace" })).toMatchObject({
      action: "up",
      fork: true,
      commit: COMMIT,
      approval: { label: forkLabel, by: "grace", number: 12, commit: COMMIT },
    });
    expect(event("synchronize", { labels: [forkLabel], commit: NEXT })).toMatchObject({
      action: "skip",
      waits: true,
      staleLabel: forkLabel,
    });
    expect(event("synchronize", { commit: NEXT })).not.toHaveProperty("staleLabel");
    expect(event("unlabeled", { label: forkLabel })).toMatchObject({ action: "down" });
    expect(event("closed", { state: "closed" })).toMatchObject({ action: "down" });
  });
  it("never gets a name that could be another preview's", () => {
    const event = pullRequestEvent("labeled", {
      from: "mallory/chat",
      target: true,
      label: forkLabel,
      labels: [forkLabel],
    });
    for (const name of ["main", "pr-1", "pr-120"]) {
      expect(thrown(() => plan(event, { forkLabel, name }))).toMatchObject({ code: "preview-name" });
    }
    expect(plan(event, { forkLabel, name: "pr-12-web" })).toMatchObject({
      action: "up",
      name: "pr-12-web",
    });
  });
  it("is never deployed but by the event of its label in a run that has secrets", () => {
    const actions = [
      "opened",
      "reopened",
      "synchronize",
      "closed",
      "labeled",
      "unlabeled",
      "ready_for_review",
      "edited",
    ];
    fc.assert(
      fc.property(
        fc.record({
          action: fc.constantFrom(...actions),
          target: fc.boolean(),
          state: fc.constantFrom("open", "closed"),
          draft: fc.boolean(),
          from: fc.constantFrom("mallory/chat", null, "acme/chat-fork"),
          labels: fc.subarray([forkLabel, "bug", "preview"]),
          label: fc.constantFrom(forkLabel, "bug"),
        }),
        fc.constantFrom("up" as const, "down" as const),
        fc.option(fc.constant(forkLabel), { nil: undefined }),
        (fields, command, policyLabel) => {
          const policy = {
            command,
            ...(policyLabel === undefined ? {} : { forkLabel: policyLabel }),
          };
          try {
            const made = plan(pullRequestEvent(fields.action, fields), policy);
            if (made.action !== "up") return;
            expect(made).toMatchObject({ fork: true, approval: { commit: COMMIT } });
            expect(fields).toMatchObject({
              action: "labeled",
              label: forkLabel,
              target: true,
              state: "open",
              draft: false,
            });
          } catch (error) {
            expect(error).toMatchObject({ code: "fork-refused" });
          }
        },
      ),
    );
  });
});

describe("a branch", () => {
  const push = (ref: string, after: string, deleted = false) => otherEvent("push", { ref, after, deleted });
  it("is deployed under its own name", () => {
    expect(plan(push("refs/heads/main", COMMIT))).toMatchObject({
      action: "up",
      name: "main",
      commit: COMMIT,
      branch: "main",
    });
    expect(plan(push("refs/heads/feat/a", COMMIT))).toMatchObject({ name: previewName("feat/a"), branch: "feat/a" });
    expect(plan(push("refs/heads/pr-12", COMMIT))).toMatchObject({ name: previewName("pr-12") });
    expect(plan(push("refs/heads/main", COMMIT), { command: "down" })).toMatchObject({ action: "down", name: "main" });
  });
  it("goes when it is deleted, which a rename does to the old one", () => {
    const why = "branch feat/a was deleted";
    const gone = { action: "down", name: previewName("feat/a"), why };
    expect(plan(push("refs/heads/feat/a", "0".repeat(40), true))).toEqual(gone);
    expect(plan(otherEvent("delete", { ref: "feat/a", ref_type: "branch" }))).toEqual(gone);
  });
  it("is not meant by a tag", () => {
    expect(plan(push("refs/tags/v1", COMMIT))).toMatchObject({
      action: "skip",
      why: expect.stringContaining("v1 is a tag"),
    });
    expect(plan(otherEvent("delete", { ref: "v1", ref_type: "tag" }))).toMatchObject({ action: "skip" });
  });
  it("may not take the name of a pull request", () => {
    expect(thrown(() => plan(push("refs/heads/main", COMMIT), { name: "pr-12" }))).toMatchObject({
      code: "preview-name",
    });
  });
});

describe("a run by hand or by the clock", () => {
  it("deploys its branch, or removes what is named", () => {
    expect(plan(otherEvent("workflow_dispatch"))).toMatchObject({ action: "up", name: "main", commit: COMMIT });
    expect(plan(otherEvent("workflow_dispatch"), { name: "demo" })).toMatchObject({ action: "up", name: "demo" });
    expect(plan(otherEvent("workflow_dispatch"), { command: "down", name: "pr-12" })).toEqual({
      action: "down",
      name: "pr-12",
      number: 12,
      why: "the workflow asked for it",
    });
    expect(plan(otherEvent("schedule"), { command: "sweep" })).toEqual({ action: "sweep" });
    expect(plan(otherEvent("schedule"), { name: "nightly" })).toMatchObject({ action: "up", name: "nightly" });
  });
  it("must say what it means", () => {
    for (const [event, policy] of [
      ["schedule", {}],
      ["workflow_dispatch", { command: "down" }],
      ["workflow_run", {}],
      ["issue_comment", {}],
    ] as const) {
      expect(thrown(() => plan(otherEvent(event), policy))).toMatchObject({ code: "preview-event" });
    }
    expect(thrown(() => plan(otherEvent("workflow_dispatch"), { name: "pr-12" }))).toMatchObject({
      code: "preview-name",
    });
  });
});

describe("an event", () => {
  it.each([
    ["pull_request", {}],
    ["pull_request", { action: "opened", pull_request: pullRequestJson({ commit: "main" }) }],
    ["pull_request", { action: "opened", pull_request: { ...pullRequestJson(), number: "12" } }],
    ["pull_request", { pull_request: pullRequestJson() }],
    ["pull_request_target", null],
    ["push", { ref: "main", after: COMMIT }],
    ["push", { ref: "refs/heads/main" }],
    ["delete", { ref_type: "branch" }],
  ])("%s that lacks what it promises is refused: %j", (name, payload) => {
    expect(thrown(() => otherEvent(name, payload))).toMatchObject({ code: "event-invalid" });
  });
  it("that is older than the pull request gives way", () => {
    const event = pullRequestEvent("synchronize");
    const now = (fields: PullRequestFields) => readPullRequest(pullRequestJson(fields));
    expect(superseded(event, now({}))).toBeUndefined();
    expect(superseded(event, now({ commit: NEXT }))).toContain("pull request 12 is at 2222222 by now");
    expect(superseded(otherEvent("schedule"), now({ commit: NEXT }))).toBeUndefined();
    expect(plan(withCurrent(event, now({ state: "closed" })))).toMatchObject({ action: "down" });
    expect(plan(withCurrent(event, now({ draft: true })))).toMatchObject({ action: "skip" });
  });
});

import { describe, expect, it } from "vitest";
import { checkApproval } from "../../../src/preview/fork.ts";
import { type Talk, talk } from "../github/support.ts";

const COMMIT = "1".repeat(40);
const NEXT = "2".repeat(40);
const LABEL = "preview-fork";
const APPROVAL = { label: LABEL, by: "grace", number: 12, commit: COMMIT };

/** A fork's pull request that grace, who may write, has reviewed and labelled. */
async function labelled(): Promise<Talk> {
  const to = await talk();
  to.api.state.open(12, { from: "mallory/chat", author: "mallory", commit: COMMIT });
  to.api.state.permissions.set("grace", "write");
  to.api.state.happened(12, { event: "reviewed", by: "grace", commit: COMMIT, state: "commented" });
  to.api.state.label(12, LABEL, "grace");
  return to;
}
const check = (to: Talk, review = true) => checkApproval(to.github, APPROVAL, review);
const refused = (why: string) => ({
  code: "fork-refused",
  message: expect.stringContaining(why),
  hint: expect.stringContaining('set the label "preview-fork" again'),
});

describe("a fork's commit", () => {
  it("may have a preview when a maintainer reviewed and labelled that very commit", async () => {
    await using to = await labelled();
    await expect(check(to)).resolves.toBeUndefined();
  });
  it("may not after another push", async () => {
    await using to = await labelled();
    for (const one of to.api.state.pullRequests) one.commit = NEXT;
    await expect(check(to)).rejects.toMatchObject(
      refused("commits were pushed after the label was set, it is at 2222222"),
    );
  });
  it("may not when it was pushed in the moment before the label, behind the maintainer's back", async () => {
    await using to = await talk();
    to.api.state.open(12, { from: "mallory/chat", author: "mallory", commit: COMMIT });
    to.api.state.permissions.set("grace", "write");
    to.api.state.happened(12, { event: "reviewed", by: "grace", commit: NEXT, state: "approved" });
    to.api.state.label(12, LABEL, "grace");
    await expect(check(to)).rejects.toMatchObject(refused("the last review is of 2222222"));
    await expect(check(to, false)).resolves.toBeUndefined();
  });
  it("may not when its review came from somebody who may not write, or asked for changes, or was dismissed", async () => {
    for (const [by, state] of [
      ["mallory", "approved"],
      ["grace", "changes_requested"],
      ["grace", "dismissed"],
    ] as const) {
      await using to = await labelled();
      to.api.state.events.set(12, []);
      for (const one of to.api.state.pullRequests) one.labels = [];
      to.api.state.happened(12, { event: "reviewed", by: "grace", commit: COMMIT, state: "commented" });
      if (by === "mallory") to.api.state.events.set(12, []);
      to.api.state.happened(12, { event: "reviewed", by, commit: COMMIT, state });
      to.api.state.label(12, LABEL, "grace");
      await expect(check(to)).rejects.toMatchObject(refused("nobody who may write to this repository has reviewed"));
    }
  });
  it("may not by a label of somebody who may only triage", async () => {
    await using to = await labelled();
    to.api.state.permissions.set("grace", "read");
    await expect(check(to)).rejects.toMatchObject(refused("grace, who set the label, may not write"));
  });
  it("may not when the label was taken off, or set anew by somebody else", async () => {
    await using to = await labelled();
    const [one] = to.api.state.pullRequests;
    if (one !== undefined) one.labels = [];
    to.api.state.happened(12, { event: "unlabeled", label: LABEL, by: "grace", at: "2026-11-27T12:01:00Z" });
    await expect(check(to)).rejects.toMatchObject(refused("the label was taken off again"));
    to.api.state.label(12, LABEL, "ada");
    await expect(check(to)).rejects.toMatchObject(refused("the label was set again by ada"));
  });
  it("may not once the pull request is closed", async () => {
    await using to = await labelled();
    for (const one of to.api.state.pullRequests) one.state = "closed";
    await expect(check(to)).rejects.toMatchObject(refused("it is closed by now"));
  });
  it("may not when GitHub cannot be asked, and the label is found behind any number of events", async () => {
    await using to = await labelled();
    for (let count = 0; count < 150; count += 1) {
      to.api.state.happened(12, {
        event: "labeled",
        label: `other-${count}`,
        by: "mallory",
        at: "2026-11-27T12:02:00Z",
      });
    }
    await expect(check(to)).resolves.toBeUndefined();
    to.api.permissions.clear();
    await expect(check(to)).rejects.toMatchObject({ code: "github-permission" });
  });
});

import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { redactKnown } from "../runner/mask.ts";
import { setOutput } from "../runner/outputs.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { bodyOf, markerOf, runLink, stateIn, stateOf } from "./body.ts";
import { type IssueInputs, readIssueInputs } from "./inputs.ts";
import { githubTracker, type Issue, type Tracker } from "./tracker.ts";

export interface Kept {
  readonly done: "opened" | "updated" | "closed" | "nothing";
  readonly issue?: Issue;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Keeps the one issue of a key: opened by the first failure, updated by the next ones, closed by a success. */
export async function keepIssue(inputs: IssueInputs, tracker: Tracker, env: Env): Promise<Kept> {
  // A run that was cancelled or skipped has seen nothing, neither good nor bad.
  if (inputs.outcome === "cancelled" || inputs.outcome === "skipped") return { done: "nothing" };
  const open = await tracker.find(markerOf(inputs.key));
  const [issue] = open;
  if (inputs.outcome === "success") {
    // Two runs at the same time may have opened two.
    for (const each of open) {
      await tracker.comment(each, `✅ Found well again. ${runLink(env)}`.trim());
      await tracker.close(each);
    }
    return issue === undefined ? { done: "nothing" } : { done: "closed", issue };
  }
  const [title, body] = [redactKnown(inputs.title), redactKnown(bodyOf(inputs, env))];
  if (issue === undefined) return { done: "opened", issue: await tracker.create(title, body, inputs.labels) };
  await tracker.update(issue, title, body);
  if (stateIn(issue.body) !== stateOf(inputs)) {
    await tracker.comment(issue, `What is wrong has changed; the text above is what the last run saw. ${runLink(env)}`);
  }
  return { done: "updated", issue };
}

function refused(error: unknown): ActionError {
  const status = error instanceof Error && "status" in error ? Number(error.status) : undefined;
  const permission = status === 401 || status === 403;
  return new ActionError(
    "issue-refused",
    `GitHub did not take the issue: ${messageOf(error)}.`,
    status === 410
      ? "Issues are switched off in this repository: switch them on in its settings, or set issue: false."
      : permission
        ? "Give the job permissions: issues: write, or set issue: false. Runs of forks and Dependabot cannot write issues."
        : "Run the job again; where it stays so, look at githubstatus.com.",
    { cause: error },
  );
}

/**
 * The issue action: one issue that says what a scheduled workflow found, as long as it finds it.
 * @throws ActionError `issue-refused`, `input-missing` and those of `readIssueInputs`
 */
export async function issue(read: ReadInput, deps: Deps): Promise<void> {
  const inputs = readIssueInputs(read);
  if (inputs.githubToken === undefined) {
    throw new ActionError(
      "input-missing",
      "github-token is empty.",
      "Leave it out: the job's own token is taken then.",
    );
  }
  let kept: Kept;
  try {
    const tracker = await githubTracker({
      token: inputs.githubToken,
      apiUrl: deps.env["GITHUB_API_URL"] ?? "https://api.github.com",
      repository: deps.env["GITHUB_REPOSITORY"] ?? "",
    });
    kept = await keepIssue(inputs, tracker, deps.env);
  } catch (error) {
    throw refused(error);
  }
  const directory = tempOf(deps);
  setOutput("done", kept.done, directory);
  setOutput("number", kept.issue === undefined ? "" : String(kept.issue.number), directory);
  setOutput("url", kept.issue?.url ?? "", directory);
  const which = kept.issue === undefined ? "No issue" : `Issue ${kept.issue.number}`;
  deps.log.info(
    kept.done === "nothing" ? "No issue to open or close." : `${which} was ${kept.done}: ${kept.issue?.url}`,
  );
}

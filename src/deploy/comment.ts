import { createHash } from "node:crypto";
import { GitHub } from "../github/client.ts";
import { writeComment } from "../github/comment.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { apiUrlOf, pullRequestOf } from "../runner/event.ts";
import { escapeMarkdown } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";
import type { DeployInputs } from "./inputs.ts";
import { changesTable, type DeployReport, touched, wayBack } from "./summary.ts";

function bodyOf(report: DeployReport, error: ActionError | undefined): string {
  const where = `\`${report.directory ?? "."}\` → ${escapeMarkdown(report.url ?? "")}`;
  const commit = report.commit === undefined ? "" : ` · ${report.commit}`;
  const title =
    error !== undefined
      ? `### ❌ Deploy failed\n\n${escapeMarkdown(error.message.split("\n")[0] ?? "")}\n\n**What to do:** ${escapeMarkdown(error.hint)}`
      : report.dryRun === true
        ? "### What a deploy would change"
        : "### ✅ Deployed";
  const parts = [
    title,
    `${where}${commit}`,
    error !== undefined && touched(report) ? wayBack(report) : "",
    report.changes === undefined ? "" : changesTable(report.changes),
    (report.notes ?? []).map((note) => `- ${escapeMarkdown(note)}`).join("\n"),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/**
 * Shows the deploy on the pull request that the job runs for; nothing for other events. Never throws: a comment that
 * cannot be written is a warning.
 */
export async function tellPullRequest(
  inputs: DeployInputs,
  report: DeployReport,
  error: ActionError | undefined,
  deps: Deps,
): Promise<void> {
  const number = pullRequestOf(deps.env);
  if (!inputs.comment || number === undefined) return;
  if (inputs.githubToken === undefined) {
    deps.log.warning("No comment on the pull request: github-token is empty.");
    return;
  }
  // One comment for each deployment and directory, also where a workflow deploys several.
  const key = createHash("sha256")
    .update(`${report.url ?? ""}\0${inputs.workingDirectory}`)
    .digest("hex");
  try {
    const github = await GitHub.connect({
      token: inputs.githubToken,
      apiUrl: apiUrlOf(deps.env),
      repository: deps.env["GITHUB_REPOSITORY"] ?? "",
      clock: deps.clock,
      log: deps.log,
    });
    const marker = `convex-selfhost deploy ${key.slice(0, 16)}`;
    const done = await writeComment(github, { number, marker, body: bodyOf(report, error) });
    deps.log.info(`The comment on pull request ${number} was ${done}.`);
  } catch (failure) {
    const why = failure instanceof ActionError ? `${failure.message} → ${failure.hint}` : messageOf(failure);
    deps.log.warning(`No comment on the pull request: ${why}`);
  }
}

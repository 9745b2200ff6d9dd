import { readFileSync } from "node:fs";
import { loadGithub } from "../system/libraries.ts";
import { redactKnown } from "./mask.ts";

/** GitHub refuses longer ones. */
const LONGEST_COMMENT = 65_000;

export interface PullRequestComment {
  readonly token: string;
  /** `github.api_url`: the token is sent there and nowhere else. */
  readonly apiUrl: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly number: number;
  /** Tells this comment from all others; put in as an HTML comment, which nobody sees. */
  readonly marker: string;
  /** Markdown. */
  readonly body: string;
}

interface Comment {
  readonly id: number;
  readonly login: string;
  readonly isBot: boolean;
}

/** The number of the pull request that this job runs for; undefined for every other event. */
export function pullRequestOf(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const event = env["GITHUB_EVENT_NAME"];
  const path = env["GITHUB_EVENT_PATH"];
  if (path === undefined || (event !== "pull_request" && event !== "pull_request_target")) return undefined;
  try {
    const payload = JSON.parse(readFileSync(path, "utf8")) as { pull_request?: { number?: unknown } };
    const number = payload.pull_request?.number;
    return typeof number === "number" ? number : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes the one comment of this marker: the former one is found on any page by marker and author and changed in place.
 * A comment of somebody else's with the same marker is left alone.
 * @throws whatever the API answers; `@actions/github` is loaded only here
 */
export async function writeComment(comment: PullRequestComment): Promise<"created" | "updated"> {
  const { getOctokit } = await loadGithub();
  const { rest, paginate } = getOctokit(comment.token, { baseUrl: comment.apiUrl });
  const [owner = "", repo = ""] = comment.repository.split("/");
  const marker = `<!-- ${comment.marker} -->`;
  // An installation's token, such as the job's own, may not ask who it is; it always is a bot.
  const own = await rest.users.getAuthenticated().then(
    ({ data }) => data.login,
    () => undefined,
  );
  const found: Comment[] = [];
  const pages = paginate.iterator(rest.issues.listComments, {
    owner,
    repo,
    issue_number: comment.number,
    per_page: 100,
  });
  for await (const { data } of pages) {
    for (const { id, body, user } of data) {
      if (body?.includes(marker) === true) found.push({ id, login: user?.login ?? "", isBot: user?.type === "Bot" });
    }
  }
  const mine = found.find(({ login, isBot }) => (own === undefined ? isBot : login === own));
  const body = `${shortened(redactKnown(comment.body))}\n\n${marker}\n`;
  if (mine !== undefined) {
    await rest.issues.updateComment({ owner, repo, comment_id: mine.id, body });
    return "updated";
  }
  await rest.issues.createComment({ owner, repo, issue_number: comment.number, body });
  return "created";
}

function shortened(body: string): string {
  return body.length <= LONGEST_COMMENT
    ? body
    : `${body.slice(0, LONGEST_COMMENT)}\n\n(Cut here: the job summary has all.)`;
}

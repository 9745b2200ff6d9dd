import { redactKnown } from "../runner/mask.ts";
import type { GitHub } from "./client.ts";
import { answerOf } from "./failure.ts";
import { isLimit } from "./limits.ts";

/** GitHub refuses longer ones. */
const LONGEST_COMMENT = 65_000;

export interface PullRequestComment {
  readonly number: number;
  /** Tells this comment from all others; put in as an HTML comment, which nobody sees. */
  readonly marker: string;
  /** Markdown; or made from what the comment says now, where something of it is to stay. */
  readonly body: string | ((former: string | undefined) => string);
  /** False: only a comment that is there already is changed. */
  readonly create?: boolean;
}

interface Found {
  readonly id: number;
  readonly body: string;
}

/**
 * Writes the one comment of this marker: the former one is found on any page by marker and author and changed in place.
 * A comment of somebody else's with the same marker is left alone.
 * @throws ActionError `github-permission` and the other errors of `GitHub.ask`
 */
export async function writeComment(
  github: GitHub,
  comment: PullRequestComment,
): Promise<"created" | "updated" | "unchanged" | "absent"> {
  const need = {
    failed: `The comment on pull request ${comment.number} could not be written`,
    permission: "pull-requests: write",
  };
  return await github.ask(need, async () => {
    const marker = `<!-- ${comment.marker} -->`;
    const bodyAfter = (former: string | undefined): string => {
      const body = typeof comment.body === "string" ? comment.body : comment.body(former?.replace(marker, "").trim());
      return `${shortened(redactKnown(body))}\n\n${marker}\n`;
    };
    for (const found of await ownComments(github, comment.number, marker)) {
      const body = bodyAfter(found.body);
      if (found.body === body) return "unchanged";
      if (await update(github, found.id, body)) return "updated";
    }
    if (comment.create === false) return "absent";
    await github.rest.issues.createComment({
      ...github.place,
      issue_number: comment.number,
      body: bodyAfter(undefined),
    });
    return "created";
  });
}

async function ownComments(github: GitHub, number: number, marker: string): Promise<Found[]> {
  const { rest, paginate, place } = github;
  const own = github.isInstallation ? undefined : await ownLogin(github);
  const found: Found[] = [];
  const pages = paginate.iterator(rest.issues.listComments, { ...place, issue_number: number, per_page: 100 });
  for await (const { data } of pages) {
    for (const { id, body, user } of data) {
      const mine = own === undefined ? user?.type === "Bot" : user?.login === own;
      if (mine && body?.includes(marker) === true) found.push({ id, body });
    }
  }
  return found;
}

async function ownLogin(github: GitHub): Promise<string | undefined> {
  try {
    return (await github.rest.users.getAuthenticated()).data.login;
  } catch (error) {
    const answer = answerOf(error);
    if (answer.status === 403 && !isLimit(answer)) return undefined;
    throw error;
  }
}

/** False when it is another bot's, which cannot be told from ours before. */
async function update(github: GitHub, id: number, body: string): Promise<boolean> {
  try {
    await github.rest.issues.updateComment({ ...github.place, comment_id: id, body });
    return true;
  } catch (error) {
    const answer = answerOf(error);
    if (answer.status === 403 && !isLimit(answer)) return false;
    throw error;
  }
}

function shortened(body: string): string {
  return body.length <= LONGEST_COMMENT
    ? body
    : `${body.slice(0, LONGEST_COMMENT)}\n\n(Cut here: the job summary has all.)`;
}

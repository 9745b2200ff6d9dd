import { loadGithub } from "../system/libraries.ts";

/** The issues of one repository, as far as this action looks at them. */
export interface Tracker {
  /** Own open issues with the marker, oldest first. */
  find(marker: string): Promise<readonly Issue[]>;
  create(title: string, body: string, labels: readonly string[]): Promise<Issue>;
  update(issue: Issue, title: string, body: string): Promise<void>;
  comment(issue: Issue, body: string): Promise<void>;
  close(issue: Issue): Promise<void>;
}

export interface Issue {
  readonly number: number;
  readonly url: string;
  readonly body: string;
}

export interface TrackerOptions {
  readonly token: string;
  /** `github.api_url`: the token is sent there and nowhere else. */
  readonly apiUrl: string;
  /** `owner/name`. */
  readonly repository: string;
}

/** GitHub refuses longer texts. */
const LONGEST_BODY = 65_000;

/**
 * An issue of somebody else's with the same marker is left alone: everybody may write issues.
 * `@actions/github` is loaded only here.
 */
export async function githubTracker({ token, apiUrl, repository }: TrackerOptions): Promise<Tracker> {
  const { getOctokit } = await loadGithub();
  const { rest, paginate } = getOctokit(token, { baseUrl: apiUrl });
  const [owner = "", repo = ""] = repository.split("/");
  // An installation's token, such as the job's own, may not ask who it is; it always is a bot.
  const own = await rest.users.getAuthenticated().then(
    ({ data }) => data.login,
    () => undefined,
  );
  return {
    async find(marker) {
      const found: Issue[] = [];
      const pages = paginate.iterator(rest.issues.listForRepo, {
        ...{ owner, repo, state: "open", sort: "created", direction: "asc", per_page: 100 },
      });
      for await (const { data } of pages) {
        for (const { number, html_url: url, body, user, pull_request } of data) {
          const mine = own === undefined ? user?.type === "Bot" : user?.login === own;
          if (mine && pull_request === undefined && body?.includes(`<!-- ${marker} -->`) === true)
            found.push({ number, url, body });
        }
      }
      return found;
    },
    async create(title, body, labels) {
      const { data } = await rest.issues.create({ owner, repo, title, body: fitting(body), labels: [...labels] });
      return { number: data.number, url: data.html_url, body };
    },
    async update({ number }, title, body) {
      await rest.issues.update({ owner, repo, issue_number: number, title, body: fitting(body) });
    },
    async comment({ number }, body) {
      await rest.issues.createComment({ owner, repo, issue_number: number, body });
    },
    async close({ number }) {
      await rest.issues.update({ owner, repo, issue_number: number, state: "closed", state_reason: "completed" });
    },
  };
}

/** The markers at the end stay. */
function fitting(body: string): string {
  if (body.length <= LONGEST_BODY) return body;
  const markers = body.slice(body.lastIndexOf("<!-- convex-selfhost issue"));
  return `${body.slice(0, LONGEST_BODY - markers.length)}\n\n(Cut here: the job summary has all.)\n\n${markers}`;
}

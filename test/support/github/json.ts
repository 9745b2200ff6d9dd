import { filled } from "./schemas.ts";
import type {
  State,
  StoredComment,
  StoredDeployment,
  StoredEvent,
  StoredPullRequest,
  StoredRelease,
  StoredStatus,
  User,
} from "./state.ts";

/** What the double knows, in the forms in which GitHub says it; what it does not know is filled in by the schemas. */
const API = "https://api.github.com";
const AT = "2026-11-27T12:00:00Z";

export const userJson = ({ login, type }: User): Record<string, unknown> => filled("simple-user", { login, type });

const person = (login: string): Record<string, unknown> =>
  userJson({ login, type: login.endsWith("[bot]") ? "Bot" : "User" });

export function commentJson(state: State, { id, issue, user, body }: StoredComment): Record<string, unknown> {
  const url = `${API}/repos/${state.repository}/issues`;
  return filled("issue-comment", {
    id,
    url: `${url}/comments/${id}`,
    issue_url: `${url}/${issue}`,
    body,
    user: userJson(user),
    author_association: "NONE",
  });
}

const labelsJson = (labels: readonly string[]): Record<string, unknown>[] =>
  labels.map((name) => filled("label", { name, description: null }));

function branchJson(repository: string, ref: string, sha: string, home: string): Record<string, unknown> {
  const [owner = ""] = repository.split("/");
  return {
    label: `${owner}:${ref}`,
    ref,
    sha,
    user: person(owner),
    repo: filled("repository", { full_name: repository, fork: repository !== home, owner: person(owner) }),
  };
}

export const pullRequestJson = (state: State, one: StoredPullRequest): Record<string, unknown> =>
  filled("pull-request", pullRequestFields(state, one));
/** As it stands in lists, which leave things out. */
export const listedJson = (state: State, one: StoredPullRequest): Record<string, unknown> =>
  filled("listed-pull-request", pullRequestFields(state, one));

function pullRequestFields(state: State, one: StoredPullRequest): Record<string, unknown> {
  const closed = one.state === "closed" ? AT : null;
  return {
    number: one.number,
    state: one.state,
    draft: one.draft,
    locked: false,
    labels: labelsJson(one.labels),
    user: person(one.author),
    body: null,
    created_at: AT,
    updated_at: AT,
    closed_at: closed,
    merged_at: null,
    head: branchJson(one.from, one.branch, one.commit, state.repository),
    base: branchJson(state.repository, "main", "0".repeat(40), state.repository),
  };
}

export function labelList(labels: readonly string[]): Record<string, unknown>[] {
  return labelsJson(labels);
}

export function deploymentJson(one: StoredDeployment): Record<string, unknown> {
  return filled("deployment", {
    id: one.id,
    sha: one.sha,
    ref: one.sha,
    task: one.task,
    environment: one.environment,
    description: one.description,
    payload: {},
    transient_environment: one.transient,
    production_environment: one.production,
  });
}

export function statusJson(one: StoredStatus): Record<string, unknown> {
  const urls = Object.entries({ environment_url: one.environment_url, log_url: one.log_url }).filter(
    ([, url]) => url !== "",
  );
  return filled("deployment-status", {
    id: one.id,
    state: one.state,
    description: one.description,
    ...Object.fromEntries(urls),
  });
}

export function eventJson(event: StoredEvent, id: number): Record<string, unknown> {
  if (event.event !== "reviewed") {
    return filled("labeled-issue-event", {
      id,
      event: event.event,
      actor: person(event.by),
      label: { name: event.label, color: "ededed" },
      created_at: event.at,
      commit_id: null,
      commit_url: null,
      performed_via_github_app: null,
    });
  }
  return filled("timeline-reviewed-event", {
    id,
    event: "reviewed",
    user: person(event.by),
    state: event.state,
    commit_id: event.commit,
    submitted_at: AT,
    body: "",
    author_association: "NONE",
  });
}

export function permissionJson(login: string, permission: string): Record<string, unknown> {
  return { permission, role_name: permission, user: person(login) };
}

export function releaseJson(state: State, { tag, prerelease, assets }: StoredRelease): Record<string, unknown> {
  const page = `https://github.com/${state.repository}/releases`;
  return filled("release", {
    tag_name: tag,
    name: tag,
    prerelease,
    published_at: AT,
    assets: assets.map((asset, index) =>
      filled("release-asset", {
        ...asset,
        id: index + 1,
        browser_download_url: `${page}/download/${tag}/${asset.name}`,
      }),
    ),
  });
}

export function refJson(ref: string, sha: string): Record<string, unknown> {
  return filled("git-ref", { ref: `refs/${ref}`, object: { type: "commit", sha, url: `${API}/x` } });
}

export function commitJson(sha: string): Record<string, unknown> {
  return filled("commit", { sha, parents: [], commit: { message: "x", url: `${API}/x` } });
}

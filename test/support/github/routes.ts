import * as json from "./json.ts";
import type { DeploymentState, State, StoredDeployment, StoredPullRequest, User } from "./state.ts";

export interface Call {
  readonly state: State;
  /** Values of the path's placeholders. */
  readonly at: (name: string) => string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  /** Who asks; undefined for an installation's token, which may not ask for it. */
  readonly self: User | undefined;
  /** As whom it writes. */
  readonly writer: User;
}

export interface Answer {
  readonly status: number;
  /** An array is given out in pages. */
  readonly body?: unknown;
}

export interface Route {
  /** `GET /repos/{owner}/{repo}/pulls`. */
  readonly route: string;
  /** What a token needs for it: any of these. */
  readonly needs?: readonly string[];
  readonly answer: (call: Call) => Answer;
}

const NOT_FOUND: Answer = {
  status: 404,
  body: { message: "Not Found", documentation_url: "https://docs.github.com/rest", status: "404" },
};
export const FORBIDDEN: Answer = {
  status: 403,
  body: {
    message: "Resource not accessible by integration",
    documentation_url: "https://docs.github.com/rest",
    status: "403",
  },
};
const REPO = "/repos/{owner}/{repo}";
const WRITE_ISSUE = ["pull-requests: write", "issues: write"];

const pullRequestAt = ({ state, at }: Call, name: string): StoredPullRequest | undefined =>
  state.pullRequests.find(({ number }) => number === Number(at(name)));
const deploymentAt = ({ state, at }: Call): StoredDeployment | undefined =>
  state.deployments.find(({ id }) => id === Number(at("deployment_id")));

function orNotFound<T>(value: T | undefined, answer: (value: T) => Answer): Answer {
  return value === undefined ? NOT_FOUND : answer(value);
}

const comments: Route[] = [
  {
    route: `GET ${REPO}/issues/{issue_number}/comments`,
    answer: ({ state, at }) => ({
      status: 200,
      body: state.comments
        .filter(({ issue }) => issue === Number(at("issue_number")))
        .map((one) => json.commentJson(state, one)),
    }),
  },
  {
    route: `POST ${REPO}/issues/{issue_number}/comments`,
    needs: WRITE_ISSUE,
    answer: ({ state, at, body, writer }) => {
      const comment = {
        id: state.nextId(),
        issue: Number(at("issue_number")),
        user: writer,
        body: String(body["body"]),
      };
      state.comments.push(comment);
      return { status: 201, body: json.commentJson(state, comment) };
    },
  },
  {
    route: `PATCH ${REPO}/issues/comments/{comment_id}`,
    needs: WRITE_ISSUE,
    answer: ({ state, at, body, writer }) =>
      orNotFound(
        state.comments.find(({ id }) => id === Number(at("comment_id"))),
        (comment) => {
          if (comment.user.login !== writer.login) return FORBIDDEN;
          comment.body = String(body["body"]);
          return { status: 200, body: json.commentJson(state, comment) };
        },
      ),
  },
];

const pullRequests: Route[] = [
  {
    route: `GET ${REPO}/pulls`,
    needs: ["pull-requests: read"],
    answer: ({ state, query }) => {
      const wanted = query.get("state") ?? "open";
      const all = state.pullRequests.filter((one) => wanted === "all" || one.state === wanted);
      return { status: 200, body: all.map((one) => json.listedJson(state, one)) };
    },
  },
  {
    route: `GET ${REPO}/pulls/{pull_number}`,
    needs: ["pull-requests: read"],
    answer: (call) =>
      orNotFound(pullRequestAt(call, "pull_number"), (one) => ({
        status: 200,
        body: json.pullRequestJson(call.state, one),
      })),
  },
  {
    route: `GET ${REPO}/issues/{issue_number}/timeline`,
    needs: ["pull-requests: read", "issues: read"],
    answer: ({ state, at }) => ({
      status: 200,
      body: (state.events.get(Number(at("issue_number"))) ?? []).map((event, index) =>
        json.eventJson(event, index + 1),
      ),
    }),
  },
  {
    route: `DELETE ${REPO}/issues/{issue_number}/labels/{name}`,
    needs: WRITE_ISSUE,
    answer: (call) =>
      orNotFound(pullRequestAt(call, "issue_number"), (one) => {
        if (!one.labels.includes(call.at("name"))) return NOT_FOUND;
        one.labels = one.labels.filter((name) => name !== call.at("name"));
        return { status: 200, body: json.labelList(one.labels) };
      }),
  },
  {
    route: `GET ${REPO}/collaborators/{username}/permission`,
    answer: ({ state, at }) => {
      const permission = state.permissions.get(at("username")) ?? "read";
      return { status: 200, body: json.permissionJson(at("username"), permission) };
    },
  },
];

/** GitHub's rule: earlier ones of the same environment that are neither transient nor of production. */
function retireOthers(state: State, deployment: StoredDeployment): void {
  for (const other of state.deployments) {
    const prior = other.environment === deployment.environment && other.id < deployment.id;
    if (!prior || other.transient || other.production || other.statuses.at(-1)?.state !== "success") continue;
    other.statuses.push({ id: state.nextId(), state: "inactive", description: "", environment_url: "", log_url: "" });
  }
}

const deployments: Route[] = [
  {
    route: `GET ${REPO}/deployments`,
    needs: ["deployments: read"],
    answer: ({ state, query }) => {
      const fits = (one: StoredDeployment): boolean =>
        (["environment", "task", "sha"] as const).every((key) => [null, "none", one[key]].includes(query.get(key)));
      return { status: 200, body: state.deployments.filter(fits).reverse().map(json.deploymentJson) };
    },
  },
  {
    route: `POST ${REPO}/deployments`,
    needs: ["deployments: write"],
    answer: ({ state, body }) => {
      if (body["auto_merge"] !== false)
        return { status: 202, body: { message: "Auto-merged main into topic on deployment." } };
      const made: StoredDeployment = {
        id: state.nextId(),
        sha: String(body["ref"]),
        task: String(body["task"] ?? "deploy"),
        environment: String(body["environment"] ?? "production"),
        description: String(body["description"] ?? ""),
        transient: body["transient_environment"] === true,
        production: (body["production_environment"] ?? body["environment"] === "production") === true,
        statuses: [],
      };
      state.deployments.push(made);
      state.environments.add(made.environment);
      return { status: 201, body: json.deploymentJson(made) };
    },
  },
  {
    route: `GET ${REPO}/deployments/{deployment_id}/statuses`,
    needs: ["deployments: read"],
    answer: (call) =>
      orNotFound(deploymentAt(call), (one) => ({
        status: 200,
        body: [...one.statuses].reverse().map(json.statusJson),
      })),
  },
  {
    route: `POST ${REPO}/deployments/{deployment_id}/statuses`,
    needs: ["deployments: write"],
    answer: (call) =>
      orNotFound(deploymentAt(call), (deployment) => {
        const { state, body } = call;
        const status = {
          id: state.nextId(),
          state: body["state"] as DeploymentState,
          description: String(body["description"] ?? ""),
          environment_url: String(body["environment_url"] ?? ""),
          log_url: String(body["log_url"] ?? ""),
        };
        deployment.statuses.push(status);
        if (status.state === "success" && body["auto_inactive"] !== false) retireOthers(state, deployment);
        return { status: 201, body: json.statusJson(status) };
      }),
  },
  {
    route: `DELETE ${REPO}/environments/{environment_name}`,
    needs: ["administration: write"],
    answer: ({ state, at }) => (state.environments.delete(at("environment_name")) ? { status: 204 } : NOT_FOUND),
  },
];

const repository: Route[] = [
  {
    route: "GET /user",
    answer: ({ self }) => (self === undefined ? FORBIDDEN : { status: 200, body: json.userJson(self) }),
  },
  {
    route: `GET ${REPO}/releases`,
    answer: ({ state }) => ({ status: 200, body: state.releases.map((one) => json.releaseJson(state, one)) }),
  },
  {
    route: `GET ${REPO}/releases/latest`,
    answer: ({ state }) =>
      orNotFound(
        state.releases.find(({ prerelease }) => !prerelease),
        (one) => ({ status: 200, body: json.releaseJson(state, one) }),
      ),
  },
  {
    route: `GET ${REPO}/releases/tags/{tag}`,
    answer: ({ state, at }) =>
      orNotFound(
        state.releases.find(({ tag }) => tag === at("tag")),
        (one) => ({ status: 200, body: json.releaseJson(state, one) }),
      ),
  },
  {
    route: `GET ${REPO}/git/ref/{ref}`,
    answer: ({ state, at }) =>
      orNotFound(state.refs.get(at("ref")), (sha) => ({ status: 200, body: json.refJson(at("ref"), sha) })),
  },
  {
    route: `GET ${REPO}/commits/{ref}`,
    answer: ({ state, at }) => {
      const known = [...state.refs.values(), ...state.pullRequests.map(({ commit }) => commit)];
      const sha = state.refs.get(`heads/${at("ref")}`) ?? known.find((commit) => commit === at("ref"));
      return orNotFound(sha, (found) => ({ status: 200, body: json.commitJson(found) }));
    },
  },
];

export const ROUTES: readonly Route[] = [...comments, ...pullRequests, ...deployments, ...repository];

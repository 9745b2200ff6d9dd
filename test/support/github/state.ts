/** What the API double remembers of its one repository. */
export interface User {
  readonly login: string;
  readonly type: "Bot" | "User";
}

export const BOT: User = { login: "github-actions[bot]", type: "Bot" };

export interface StoredComment {
  readonly id: number;
  readonly issue: number;
  readonly user: User;
  body: string;
}

export interface StoredPullRequest {
  readonly number: number;
  state: "open" | "closed";
  draft: boolean;
  labels: string[];
  commit: string;
  readonly branch: string;
  /** `owner/name` of the head. */
  readonly from: string;
  readonly author: string;
}

export type DeploymentState = "error" | "failure" | "inactive" | "in_progress" | "queued" | "pending" | "success";

export interface StoredStatus {
  readonly id: number;
  readonly state: DeploymentState;
  readonly description: string;
  readonly environment_url: string;
  readonly log_url: string;
}

export interface StoredDeployment {
  readonly id: number;
  readonly sha: string;
  readonly task: string;
  readonly environment: string;
  readonly description: string;
  readonly transient: boolean;
  readonly production: boolean;
  /** Oldest first. */
  readonly statuses: StoredStatus[];
}

/** An event of a pull request's timeline. */
export type StoredEvent =
  | { readonly event: "labeled" | "unlabeled"; readonly label: string; readonly by: string; readonly at: string }
  | {
      readonly event: "reviewed";
      readonly by: string;
      readonly commit: string;
      readonly state: "approved" | "commented" | "changes_requested" | "dismissed";
    };

export interface StoredRelease {
  readonly tag: string;
  readonly prerelease: boolean;
  readonly assets: readonly { readonly name: string; readonly size: number; readonly digest: string | null }[];
}

export type Permission = "admin" | "write" | "read" | "none";

export class State {
  /** `owner/name`. */
  readonly repository: string;
  readonly comments: StoredComment[] = [];
  readonly pullRequests: StoredPullRequest[] = [];
  readonly deployments: StoredDeployment[] = [];
  readonly environments = new Set<string>();
  readonly events = new Map<number, StoredEvent[]>();
  readonly permissions = new Map<string, Permission>();
  readonly releases: StoredRelease[] = [];
  /** `heads/main` → commit. */
  readonly refs = new Map<string, string>();
  #id = 0;

  constructor(repository: string) {
    this.repository = repository;
  }

  nextId(): number {
    this.#id += 1;
    return this.#id;
  }

  open(number: number, fields: Partial<Omit<StoredPullRequest, "number">> = {}): StoredPullRequest {
    const made: StoredPullRequest = {
      number,
      state: "open",
      draft: false,
      labels: [],
      commit: "1".repeat(40),
      branch: `topic-${number}`,
      from: this.repository,
      author: "ada",
      ...fields,
    };
    this.pullRequests.push(made);
    return made;
  }

  happened(number: number, event: StoredEvent): void {
    this.events.set(number, [...(this.events.get(number) ?? []), event]);
  }

  label(number: number, label: string, by: string, at = "2026-11-27T12:00:00Z"): void {
    this.pullRequests.find((one) => one.number === number)?.labels.push(label);
    this.happened(number, { event: "labeled", label, by, at });
  }
}

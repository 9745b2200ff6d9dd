import type { GitHub } from "../github/client.ts";
import { type PullRequestComment, writeComment } from "../github/comment.ts";
import {
  createDeployment,
  type DeploymentOf,
  removeEnvironment,
  retire,
  type Status,
  setState,
} from "../github/deployments.ts";
import { removeLabel } from "../github/pull-request.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/deps.ts";
import { failedComment, markerOf, type PreviewFacts, readyComment, removedComment, waitingComment } from "./comment.ts";
import { type EnvironmentChoice, environmentOf } from "./environment.ts";

export interface TellerOptions {
  /** Undefined without `github-token`. */
  readonly github: GitHub | undefined;
  readonly comment: boolean;
  readonly environment: EnvironmentChoice;
  readonly runUrl?: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Which preview is told about. */
export interface Told {
  readonly name: string;
  /** Undefined for a branch: nothing to comment on. */
  readonly number?: number;
}

/**
 * Tells GitHub about previews: one comment on the pull request, and one deployment for each `up`. The preview is what
 * was asked for, and being told of it comes second: whatever fails here is a warning, never a failure. `queued` and
 * `started` need not be waited for.
 */
export class Teller {
  readonly #options: TellerOptions;
  readonly #warned = new Set<string>();
  /** The deployment of this run's `up`. */
  #deployment: number | undefined;
  /** Its states are told in their order, also by a caller that does not wait for each. */
  #told: Promise<void> = Promise.resolve();

  constructor(options: TellerOptions) {
    this.#options = options;
    const { github, comment, environment, log } = options;
    if (github === undefined && (comment || environment.kind !== "none")) {
      log.warning(
        "Nothing is shown on GitHub: github-token is empty. Set comment: false and github-environment: none if that is meant.",
      );
    }
  }

  /** An `up` waits for its turn: shown before anything is done. */
  async queued(preview: Told, commit: string): Promise<void> {
    await this.#deploymentStep(preview, async (github, what) => {
      this.#deployment = await createDeployment(github, { ...what, commit, description: `Preview ${preview.name}` });
      await setState(github, what, this.#deployment, this.#status({ state: "queued" }));
    });
  }

  async started(preview: Told): Promise<void> {
    await this.#set(preview, { state: "in_progress" });
  }

  /** It is up; the deployments before this one are not. */
  async ready(preview: Told, facts: PreviewFacts): Promise<void> {
    await Promise.all([
      this.#comment(preview, (former) => readyComment(facts, former)),
      this.#deploymentStep(preview, async (github, what) => {
        if (this.#deployment === undefined) return;
        await setState(github, what, this.#deployment, this.#status({ state: "success", url: facts.url }));
        await retire(github, what, this.#deployment);
      }),
    ]);
  }

  /** The `up` failed. What was deployed before may still be served, so its deployment stays as it is. */
  async failed(
    preview: Told,
    error: ActionError,
    what: { readonly commit: string; readonly url?: string },
  ): Promise<void> {
    const { runUrl } = this.#options;
    const body = failedComment(error, { ...what, ...(runUrl === undefined ? {} : { runUrl }) });
    await Promise.all([
      this.#comment(preview, body),
      this.#set(preview, { state: "failure", description: `[${error.code}]` }),
    ]);
  }

  /** It is gone, by `down` or by a sweep. Where nobody was told of it, nobody is told of its end. */
  async removed(preview: Told, why: string): Promise<void> {
    const { clock, environment, log } = this.#options;
    const body = removedComment(new Date(clock.now()), why);
    await Promise.all([
      this.#comment(preview, body, false),
      this.#deploymentStep(preview, async (github, what) => {
        await retire(github, what);
        if (environment.kind !== "per-preview") return;
        if ((await removeEnvironment(github, what.environment)) !== "left") return;
        log.notice(
          `The environment ${what.environment} stays: github-token may not remove it. That takes a token with administration: write, which a job's own never has.`,
        );
      }),
    ]);
  }

  /** A fork's pull request waits for a maintainer. */
  async waiting(preview: Told, why: string, staleLabel?: string): Promise<void> {
    await this.#comment(preview, (former) => waitingComment(why, former));
    const { github } = this.#options;
    const { number } = preview;
    if (github === undefined || number === undefined || staleLabel === undefined) return;
    await this.#quietly(async () => {
      await removeLabel(github, number, staleLabel);
    });
  }

  async #comment(preview: Told, body: PullRequestComment["body"], create = true): Promise<void> {
    const { github, comment, log } = this.#options;
    const { number } = preview;
    if (github === undefined || !comment || number === undefined) return;
    await this.#quietly(async () => {
      const done = await writeComment(github, { number, marker: markerOf(preview.name), body, create });
      if (done !== "absent") log.info(`The comment on pull request ${number} was ${done}.`);
    });
  }

  async #set(preview: Told, status: Status): Promise<void> {
    await this.#deploymentStep(preview, async (github, what) => {
      if (this.#deployment !== undefined) await setState(github, what, this.#deployment, this.#status(status));
    });
  }

  #status(status: Status): Status {
    const { runUrl } = this.#options;
    return runUrl === undefined ? status : { ...status, logUrl: runUrl };
  }

  async #deploymentStep(preview: Told, work: (github: GitHub, what: DeploymentOf) => Promise<void>): Promise<void> {
    const { github, environment } = this.#options;
    const name = environmentOf(environment, preview.name);
    if (github === undefined || name === undefined) return;
    const step = async (): Promise<void> => await work(github, { environment: name, task: `preview:${preview.name}` });
    this.#told = this.#told.then(async () => await this.#quietly(step));
    await this.#told;
  }

  /** Says each kind of failure once: a missing permission fails every call. */
  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (failure) {
      const text = failure instanceof ActionError ? failure.text : messageOf(failure);
      const key = failure instanceof ActionError ? `${failure.code} ${failure.hint}` : text;
      if (this.#warned.has(key)) return;
      this.#warned.add(key);
      this.#options.log.warning(text);
    }
  }
}

import { type Changes, changesOf, type PushFacts } from "../deploy/changes.ts";
import type { EnvPlan } from "../deploy/env-plan.ts";
import { type Live, readLive } from "../deploy/live.ts";
import { PushWatch } from "../deploy/watch.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { startRelay } from "../deployment/relay.ts";
import type { Deps } from "../system/deps.ts";

/**
 * Looks at a push to a preview, to tell the pull request what it changed against what the preview served before. The
 * base's own code is nowhere to compare with: it would have to be pushed to a backend of its own. The push is what was
 * asked for, and this comes second: what cannot be compared is left out.
 */
export class Comparison {
  readonly #client: DeploymentClient;
  readonly #live: Live;
  readonly #deps: Deps;
  #facts: PushFacts = {};

  private constructor(client: DeploymentClient, live: Live, deps: Deps) {
    this.#client = client;
    this.#live = live;
    this.#deps = deps;
  }

  /** Reads what is live; to be called before anything is pushed. Undefined where the backend does not tell it. */
  static async begin(client: DeploymentClient, deps: Deps): Promise<Comparison | undefined> {
    const live = await quietly(deps, () => readLive(client));
    return live === undefined ? undefined : new Comparison(client, live, deps);
  }

  /** Does `work` with the address of a relay, to which the CLI pushes instead. */
  async watch(work: (through: string) => Promise<void>): Promise<void> {
    const watch = new PushWatch({
      client: this.#client,
      liveModules: this.#live.modules,
      // A preview's indexes are its own, and small.
      allowIndexDeletion: true,
      dryRun: false,
      wanted: new Set(),
    });
    const { url } = this.#client;
    await using relay = await startRelay({ target: url, answer: (call, forward) => watch.answer(call, forward) });
    try {
      await work(relay.url);
    } catch (error) {
      if (relay.lastFault !== undefined) {
        this.#deps.log.info(`The last call did not reach ${url}: ${relay.lastFault}.`);
      }
      throw error;
    }
    this.#facts = watch.facts;
  }

  /** For a push that was sent from here. */
  async sent(facts: PushFacts): Promise<void> {
    const modules = await quietly(this.#deps, () => this.#client.moduleHashes());
    this.#facts = { ...facts, ...(modules === undefined ? {} : { modules }) };
  }

  /**
   * @param env what becomes of the variables with it
   * @returns undefined when the push told nothing that could be compared
   */
  async changes(env: EnvPlan): Promise<Changes | undefined> {
    if (this.#facts.finished === undefined) return undefined;
    return await quietly(this.#deps, async () => changesOf(this.#live, this.#facts, env));
  }
}

async function quietly<T>(deps: Deps, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    deps.log.debug(`What the push changes is not told: ${String(error)}`);
    return undefined;
  }
}

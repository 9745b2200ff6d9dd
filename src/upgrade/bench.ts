import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BackendState } from "../backend/backend.ts";
import { connectEngine } from "../backend/docker/engine.ts";
import { jobLabels } from "../backend/docker/labels.ts";
import { createVolume } from "../backend/docker/volumes.ts";
import { newOwner } from "../start/launch.ts";
import { teardown } from "../start/teardown.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { clearBench } from "./clear.ts";
import type { UpgradeState } from "./state.ts";

/**
 * What a rehearsal has on the machine: backends, the data that one hands to the next, a private directory. Everything
 * is in the state before it exists, so that the post step finds it whatever happened.
 */
export class Bench {
  readonly directory: string;
  readonly #deps: Deps;
  readonly #save: (state: UpgradeState) => void;
  #backends: readonly BackendState[] = [];

  private constructor(directory: string, save: (state: UpgradeState) => void, deps: Deps) {
    this.directory = directory;
    this.#save = save;
    this.#deps = deps;
  }

  static async create(save: (state: UpgradeState) => void, deps: Deps): Promise<Bench> {
    const directory = join(tempOf(deps), `convex-rehearsal-${randomBytes(6).toString("hex")}`);
    const bench = new Bench(directory, save, deps);
    bench.#keep([]);
    await mkdir(directory, { mode: 0o700 });
    return bench;
  }

  #keep(backends: readonly BackendState[]): void {
    this.#backends = backends;
    this.#save({ backends, directory: this.directory });
  }

  /** Where the data of one backend lie that another one takes over: a directory, or a volume with our labels. */
  async makeData(runtime: "docker" | "binary"): Promise<string> {
    if (runtime === "binary") {
      const data = join(this.directory, `data-${randomBytes(3).toString("hex")}`);
      await mkdir(data, { mode: 0o700 });
      return data;
    }
    const engine = await connectEngine(this.#deps);
    const owner = newOwner();
    const volume: BackendState = {
      runtime: "docker",
      engine: engine.address,
      container: owner,
      owner,
      volume: owner,
      keepsData: false,
      others: [],
    };
    this.#keep([...this.#backends, volume]);
    await createVolume(engine, owner, await jobLabels(owner, "upgrade", this.#deps));
    return owner;
  }

  /** The `save` of one launch: a backend is saved many times, as more of it is known. */
  slot(): (state: BackendState) => void {
    const others = this.#backends;
    return (state) => this.#keep([...others, state]);
  }

  /** Ends one backend; waits for the end of its process or container, not of its ports. */
  async end(state: BackendState): Promise<void> {
    const steps = await teardown(state, this.#deps);
    const failed = steps.find(({ error }) => error !== undefined);
    if (failed !== undefined) throw failed.error;
    this.#keep(this.#backends.filter((other) => ownerOf(other) !== ownerOf(state)));
  }

  /** Ends all backends that are left, with their data; the backup stays for the next road. */
  async clearBackends(): Promise<void> {
    this.#keep(await clearBench({ backends: this.#backends }, this.#deps));
  }

  /** Ends and removes everything that is left. */
  async clear(): Promise<void> {
    this.#keep(await clearBench({ backends: this.#backends, directory: this.directory }, this.#deps));
  }
}

const ownerOf = (state: BackendState): string =>
  state.runtime === "service-container" ? state.container : state.owner;

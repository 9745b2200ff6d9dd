import { createHash } from "node:crypto";
import type { DeploymentClient } from "../deployment/client.ts";
import { asRecord } from "../deployment/json.ts";
import { type Forward, jsonAnswer, type RelayedAnswer, type RelayedCall, refusal } from "../deployment/relay.ts";
import type { ActionError } from "../runner/errors.ts";
import { type BundledModule, modulesOf } from "./analysis.ts";
import type { PushFacts } from "./changes.ts";
import { indexGuard } from "./index-guard.ts";

export interface WatchOptions {
  readonly client: DeploymentClient;
  /** Paths of the modules that are live. */
  readonly liveModules: ReadonlyMap<string, string>;
  readonly allowIndexDeletion: boolean;
  readonly dryRun: boolean;
  /** Names of the variables that a deploy would set, and a dry run does not. */
  readonly wanted: ReadonlySet<string>;
  /** From how many documents on a table is large. */
  readonly largeTable?: number;
}

/** How far a dry run came: `checked` with the type check, `evaluated` without it, `bundled` where the CLI is too old. */
export type Rehearsal = "bundled" | "evaluated" | "checked";

type Json = Readonly<Record<string, unknown>>;

/**
 * Looks at a push on its way through the relay: notes what is sent and answered, stops what would delete indexes, and
 * ends a dry run before anything is stored (contract 5.2). One instance may see several tries of one deploy.
 */
export class PushWatch {
  readonly #options: WatchOptions;
  #facts: PushFacts = {};
  #judged = false;
  /** The root's modules, in a dry run. */
  bundle: readonly BundledModule[] = [];
  stopped: ActionError | undefined;
  /** The variable for want of which the backend could not evaluate the auth config, in a dry run. */
  authVariable: string | undefined;
  rehearsed: Rehearsal | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** What is known of the last try. */
  get facts(): PushFacts {
    return this.#facts;
  }

  /** The relay's `answer`. */
  async answer(call: RelayedCall, forward: Forward): Promise<RelayedAnswer> {
    switch (call.endpoint) {
      case "get_config_hashes": {
        const reply = await forward();
        // With nothing to compare with the CLI sends every module, so that all can be analysed here.
        return this.#options.dryRun && reply.status === 200
          ? jsonAnswer({ ...asRecord(reply.json()), moduleHashes: [] })
          : reply;
      }
      case "evaluate_push":
        return await this.#evaluate(call, forward);
      case "start_push":
        return await this.#start(call, forward);
      case "wait_for_schema":
        if (!this.#options.dryRun) return await forward();
        this.rehearsed = "checked";
        return endOfRehearsal();
      case "finish_push": {
        const reply = await forward();
        if (reply.status === 200) this.#facts = { ...this.#facts, finished: reply.json() };
        return reply;
      }
      case "prepare_schema":
        // A CLI before 1.28 (contract 5.4): it goes on to push_config, and tells nothing that could be compared.
        if (!this.#options.dryRun) return await forward();
        this.rehearsed = "bundled";
        return endOfRehearsal();
      default:
        return await forward();
    }
  }

  async #evaluate(call: RelayedCall, forward: Forward): Promise<RelayedAnswer> {
    this.#begin(asRecord(call.json()));
    const reply = await this.#ask(call, forward);
    const stop = await this.#judge(reply, asRecord(call.json()));
    if (stop !== undefined) return stop;
    return this.#options.allowIndexDeletion && reply.status === 200 ? withoutRemovedIndexes(reply) : reply;
  }

  /** Evaluates a push; in a dry run without its auth config where that reads a variable which only the deploy sets. */
  async #ask(call: RelayedCall, forward: Forward, path = call.path): Promise<RelayedAnswer> {
    const reply = await forward({ path });
    const { code, message } = asRecord(reply.json());
    if (!this.#options.dryRun || code !== "AuthConfigMissingEnvironmentVariable") return reply;
    const name = /variable (\w+) is used in auth config/.exec(String(message))?.[1];
    if (name === undefined || !this.#options.wanted.has(name)) return reply;
    this.authVariable = name;
    return await forward({ path, json: withoutAuthConfig(asRecord(call.json())) });
  }

  async #start(call: RelayedCall, forward: Forward): Promise<RelayedAnswer> {
    const request = asRecord(call.json());
    if (!this.#judged) {
      // The CLI asked in another way, or not at all; nothing is stored by this call.
      this.#begin(request);
      const evaluated = await this.#ask(call, forward, "/api/deploy2/evaluate_push");
      const stop = await this.#judge(evaluated, request);
      if (stop !== undefined) return stop;
      if (this.#options.dryRun && evaluated.status !== 200) {
        if (evaluated.status !== 404) return evaluated;
        this.rehearsed = "bundled";
        return endOfRehearsal();
      }
    }
    const judged = this.#judged;
    this.#judged = false;
    if (this.#options.dryRun) return this.#rehearse(request);
    const reply = await forward();
    if (!judged) {
      // A backend before 2025-11-04: its own schema stays pending then, but nothing that is served changes.
      const stop = await this.#judge(reply, request);
      this.#judged = false;
      if (stop !== undefined) return stop;
    }
    const answer = asRecord(reply.json());
    if (reply.status === 200) {
      this.#facts = {
        ...this.#facts,
        analysis: answer["analysis"],
        indexDiffs: asRecord(answer["schemaChange"])["indexDiffs"],
      };
    }
    return reply;
  }

  #begin(request: Json): void {
    const app = asRecord(request["appDefinition"]);
    this.#facts = { modules: sentModules(app) };
    if (this.#options.dryRun) this.bundle = modulesOf(app);
  }

  async #judge(reply: RelayedAnswer, request: Json): Promise<RelayedAnswer | undefined> {
    if (reply.status !== 200) return undefined;
    this.#judged = true;
    const { indexDiffs, schemaIds } = asRecord(asRecord(reply.json())["schemaChange"]);
    // Keyed by the paths of what will be mounted; the root's is empty (contract 5.2).
    const components = Object.keys(asRecord(schemaIds)).filter((path) => path !== "");
    this.#facts = { ...this.#facts, indexDiffs, components };
    if (this.#options.allowIndexDeletion) return undefined;
    this.stopped = await indexGuard(this.#options, asRecord(request["appDefinition"])["schema"] ?? null, indexDiffs);
    return this.stopped === undefined ? undefined : refusal("DeployStopped", this.stopped.message);
  }

  /**
   * Lets the CLI go on to its type check with an answer that holds nothing: enough for an app without components
   * (contract 5.2). With components the generated code would be wrong, so the rehearsal ends there.
   */
  #rehearse(request: Json): RelayedAnswer {
    this.rehearsed = "evaluated";
    const components = request["componentDefinitions"];
    return Array.isArray(components) && components.length > 0 ? endOfRehearsal() : EMPTY_START;
  }
}

const endOfRehearsal = (): RelayedAnswer => refusal("DryRun", "Dry run: ends here, before anything is stored.");

const EMPTY_START = jsonAnswer({
  environmentVariables: {},
  externalDepsId: null,
  componentDefinitionPackages: {},
  appAuth: [],
  analysis: {
    "": {
      definition: {
        path: "",
        definitionType: { type: "app" },
        childComponents: [],
        httpMounts: {},
        exports: { type: "branch", branch: [] },
      },
      schema: null,
      functions: {},
      udfConfig: {
        serverVersion: "1.0.0",
        importPhaseRngSeed: { $bytes: "" },
        importPhaseUnixTimestamp: { $integer: "AAAAAAAAAAA=" },
      },
    },
  },
  app: {
    definitionPath: "",
    componentPath: "",
    args: {},
    childComponents: {},
    httpRoutes: { httpModuleRoutes: null, mounts: [] },
    exports: {},
  },
  schemaChange: { allocatedComponentIds: {}, schemaIds: {}, indexDiffs: {} },
});

/** Path and hash of the root's modules: hex SHA-256 over source and source map, as the backend lists them (contract 5.2). */
function sentModules(app: Json): Map<string, string> {
  const hashes = new Map<string, string>();
  const changed = Array.isArray(app["changedModules"]) ? app["changedModules"] : app["functions"];
  const full = [app["definition"], app["schema"], ...(Array.isArray(changed) ? changed : [])];
  for (const module of full.filter((one) => typeof one === "object" && one !== null).map(asRecord)) {
    const hash = createHash("sha256").update(String(module["source"]));
    if (typeof module["sourceMap"] === "string") hash.update(module["sourceMap"]);
    hashes.set(String(module["path"]), hash.digest("hex"));
  }
  const unchanged = app["unchangedModuleHashes"];
  for (const module of (Array.isArray(unchanged) ? unchanged : []).map(asRecord)) {
    hashes.set(String(module["path"]), String(module["sha256"]));
  }
  return hashes;
}

function withoutAuthConfig(request: Json): Json {
  const app = asRecord(request["appDefinition"]);
  const rest = (listed: unknown): unknown =>
    Array.isArray(listed) ? listed.filter((module) => asRecord(module)["path"] !== "auth.config.js") : listed;
  const lists = ["changedModules", "functions"].filter((key) => key in app);
  const kept = Object.fromEntries(lists.map((key) => [key, rest(app[key])]));
  return { ...request, appDefinition: { ...app, ...kept } };
}

/** The CLI would ask a person about indexes that go; `allow-index-deletion` has answered already. */
function withoutRemovedIndexes(reply: RelayedAnswer): RelayedAnswer {
  const answer = asRecord(reply.json());
  const change = asRecord(answer["schemaChange"]);
  const diffs = Object.entries(asRecord(change["indexDiffs"]));
  const indexDiffs = Object.fromEntries(
    diffs.map(([path, diff]) => [path, { ...asRecord(diff), removed_indexes: [] }]),
  );
  return jsonAnswer({ ...answer, schemaChange: { ...change, indexDiffs } });
}

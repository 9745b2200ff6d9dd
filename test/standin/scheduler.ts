/** Scheduled functions and crons. Both are documents, so they outlive restarts and come along in copies (contract 1.8). */
import { nextRun } from "./cron.ts";
import type { PauseState } from "./pause.ts";
import type {
  CronSpec,
  Document,
  Fields,
  FunctionKind,
  FunctionPath,
  FunctionRunner,
  Functions,
  ReadTransaction,
  Scheduler,
  Store,
  Value,
  WriteTransaction,
} from "./types.ts";
import { encode, equal, fromJson, isBytes, isFields } from "./values.ts";

const JOBS = "_scheduled_functions";
const CRONS = "_cron_jobs";
const NEXT_RUNS = "_cron_next_run";
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** After a failed look at the clock's work (e.g. disk trouble), and while a run goes on. */
const RETRY_MS = 1000;

export class DocumentScheduler implements Scheduler {
  #store: Store;
  #functions: Functions;
  #pause: PauseState;
  #timer: NodeJS.Timeout | undefined;
  #kindOf: (component: string, name: string) => FunctionKind | undefined;
  #stopped = true;
  #running = new Set<string>();
  #unsubscribe: () => void = () => {};

  constructor(deps: { store: Store; functions: Functions; pause: PauseState; runner: () => FunctionRunner }) {
    this.#store = deps.store;
    this.#functions = deps.functions;
    this.#pause = deps.pause;
    this.#kindOf = (component, name) => {
      const path = pathOf(name);
      const modules = deps.runner().modules(deps.store.beginRead(), component);
      const module = modules?.find((each) => each.path === path.module);
      return module?.functions.find((each) => each.name === path.name)?.kind;
    };
  }

  /** Begins to run what is due, also what became so while the backend was down. */
  async start(): Promise<void> {
    await this.#failInterrupted();
    this.#stopped = false;
    this.#unsubscribe = this.#store.onCommit((_ts, keys) => {
      const relevant = [...keys].some(
        (key) => key.startsWith(JOBS) || key.startsWith(NEXT_RUNS) || key.startsWith("_backend_state"),
      );
      if (relevant) this.#arm();
    });
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
  }

  schedule(tx: WriteTransaction, job: { component: string; path: FunctionPath; args: Value; at: number }): string {
    return tx.insert(job.component, JOBS, {
      name: `${job.path.module}:${job.path.name}`,
      args: [job.args],
      scheduledTime: job.at,
      state: { kind: "pending" },
    });
  }

  cancel(tx: WriteTransaction, component: string, id: string): void {
    const job = tx.get(component, id);
    if (job === null || stateOf(job) !== "pending") return;
    tx.replace(component, id, { ...job, state: { kind: "canceled" }, completedTime: Date.now() });
  }

  setCrons(
    tx: WriteTransaction,
    component: string,
    specs: readonly CronSpec[],
  ): { added: string[]; updated: string[]; deleted: string[] } {
    const existing = new Map(tx.scan(component, CRONS).map((doc) => [String(doc["name"]), doc]));
    const changes = { added: [] as string[], updated: [] as string[], deleted: [] as string[] };
    for (const spec of [...specs].sort((a, b) => (a.identifier < b.identifier ? -1 : 1))) {
      const before = existing.get(spec.identifier);
      existing.delete(spec.identifier);
      const cronSpec = specFields(spec);
      if (before !== undefined && equal(before["cronSpec"], cronSpec)) continue;
      (before === undefined ? changes.added : changes.updated).push(spec.identifier);
      if (before !== undefined) dropCron(tx, component, before);
      addCron(tx, component, spec, cronSpec);
    }
    for (const [name, doc] of existing) {
      changes.deleted.push(name);
      dropCron(tx, component, doc);
    }
    changes.deleted.sort();
    return changes;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const tx = this.#store.beginRead();
    if (this.#pause.isPaused(tx)) return;
    const [first] = this.#due(tx, Number.POSITIVE_INFINITY);
    if (first === undefined) return;
    const wait = Math.min(Math.max(first.at - Date.now(), 0), MAX_TIMEOUT_MS);
    this.#timer = setTimeout(() => this.#tick(), wait);
    // Work to come is no reason for a process to live on.
    this.#timer.unref();
  }

  #tick(): void {
    if (this.#stopped) return;
    for (const due of this.#due(this.#store.beginRead(), Date.now())) {
      this.#running.add(due.doc._id);
      const run = due.cron === undefined ? this.#runJob(due) : this.#runCron(due, due.cron);
      run
        .catch(() => new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref()))
        .finally(() => {
          this.#running.delete(due.doc._id);
          this.#arm();
        });
    }
    this.#arm();
  }

  /** What has to run by then, earliest first, without what runs already. */
  #due(tx: ReadTransaction, byMs: number): Due[] {
    const due: Due[] = [];
    for (const component of componentsOf(tx)) {
      for (const doc of tx.scan(component, JOBS)) {
        if (stateOf(doc) === "pending") due.push({ component, doc, at: Number(doc["scheduledTime"]) });
      }
      for (const doc of tx.scan(component, NEXT_RUNS)) {
        const cron = tx.get(component, String(doc["cronJobId"]));
        if (cron !== null) due.push({ component, doc, at: Number(BigInt(String(doc["nextTs"])) / 1_000_000n), cron });
      }
    }
    return due.filter(({ at, doc }) => at <= byMs && !this.#running.has(doc._id)).sort((a, b) => a.at - b.at);
  }

  async #runJob({ component, doc }: Due): Promise<void> {
    const [args = {}] = Array.isArray(doc["args"]) ? doc["args"] : [];
    const name = String(doc["name"]);
    // A mutation is done when its commit says so; an action is tried once, whatever happens to the backend.
    const action = this.#kindOf(component, name) === "Action";
    if (action) await this.#store.write((tx) => setState(tx, component, doc._id, { kind: "inProgress" }));
    const succeed = (tx: WriteTransaction) => setState(tx, component, doc._id, { kind: "success" });
    const error = await this.#run(component, name, args, "Scheduler", action ? undefined : succeed);
    if (error !== undefined)
      await this.#store.write((tx) => setState(tx, component, doc._id, { kind: "failed", error }));
    else if (action) await this.#store.write(succeed);
  }

  /** Actions that were under way when the process ended. */
  async #failInterrupted(): Promise<void> {
    const isInterrupted = (doc: Document) => stateOf(doc) === "inProgress";
    const before = this.#store.beginRead();
    if (!componentsOf(before).some((component) => before.scan(component, JOBS).some(isInterrupted))) return;
    await this.#store.write((tx) => {
      for (const component of componentsOf(tx)) {
        for (const doc of tx.scan(component, JOBS).filter(isInterrupted)) {
          setState(tx, component, doc._id, { kind: "failed", error: "Transient error while executing action" });
        }
      }
    });
  }

  async #runCron({ component, doc, at }: Due, cron: Document): Promise<void> {
    const spec = isFields(cron["cronSpec"]) ? cron["cronSpec"] : {};
    await this.#store.write((tx) => {
      const current = tx.get(component, doc._id);
      if (current === null) return;
      const next = followingRun(spec["cronSchedule"], at);
      if (next === undefined) tx.delete(component, doc._id);
      else tx.replace(component, doc._id, { ...current, prevTs: current["nextTs"] ?? null, nextTs: next });
    });
    const bytes = isBytes(spec["udfArgs"]) ? Buffer.from(spec["udfArgs"]).toString("utf8") : "[{}]";
    const [args = {}] = JSON.parse(bytes) as unknown[];
    await this.#run(component, String(spec["udfPath"]), fromJson(args), "Cron");
  }

  /** The error's text, undefined after success. */
  async #run(
    component: string,
    name: string,
    args: Value,
    caller: "Scheduler" | "Cron",
    withCommit?: (tx: WriteTransaction) => void,
  ): Promise<string | undefined> {
    const identity = { kind: "none" } as const;
    const call = { component, path: pathOf(name), kind: "Any", args, identity, caller, visibility: "all" } as const;
    const result = await this.#functions.run(withCommit === undefined ? call : { ...call, withCommit });
    return result.status === "error" ? result.error.message : undefined;
  }
}

/** Of a job that is still wanted. */
function setState(tx: WriteTransaction, component: string, id: string, state: Fields): void {
  const doc = tx.get(component, id);
  if (doc === null || stateOf(doc) === "canceled") return;
  const done = state["kind"] === "inProgress" ? {} : { completedTime: Date.now() };
  tx.replace(component, id, { ...doc, state, ...done });
}

/** `messages.js:send` */
function pathOf(name: string): FunctionPath {
  const colon = name.lastIndexOf(":");
  return { module: name.slice(0, colon), name: name.slice(colon + 1) };
}

interface Due {
  readonly component: string;
  /** A job, or a cron's next run. */
  readonly doc: Document;
  readonly at: number;
  readonly cron?: Document;
}

function stateOf(doc: Document): string {
  return isFields(doc["state"]) ? String(doc["state"]["kind"]) : "";
}

function componentsOf(tx: ReadTransaction): string[] {
  const mounted = tx.scan("", "_components").filter((doc) => doc["state"] !== "unmounted");
  return [...new Set(["", ...mounted.map((doc) => String(doc["path"]))])];
}

/** As the system table holds it: whole numbers are Int64, arguments the bytes of their JSON. */
function specFields(spec: CronSpec): Fields {
  const schedule: Fields = {};
  for (const [key, value] of Object.entries(spec.schedule)) {
    schedule[key] = typeof value === "number" ? BigInt(value) : fromJson(value);
  }
  const args = Buffer.from(`[${encode(spec.args, "convex_encoded_json")}]`);
  const udfPath = `${spec.path.module}:${spec.path.name}`;
  return { cronSchedule: schedule, udfArgs: new Uint8Array(args).buffer, udfPath };
}

function addCron(tx: WriteTransaction, component: string, spec: CronSpec, cronSpec: Fields): void {
  const cronJobId = tx.insert(component, CRONS, { name: spec.identifier, cronSpec });
  const now = Date.now();
  // An interval begins at once, everything else at its next time.
  const first = spec.schedule.type === "interval" ? now : nextRun(spec.schedule, now);
  if (first === undefined) return;
  const nextTs = BigInt(first) * 1_000_000n;
  tx.insert(component, NEXT_RUNS, { cronJobId, nextTs, prevTs: null, state: { type: "pending" } });
}

function dropCron(tx: WriteTransaction, component: string, cron: Document): void {
  for (const run of tx.scan(component, NEXT_RUNS)) {
    if (run["cronJobId"] === cron._id) tx.delete(component, run._id);
  }
  tx.delete(component, cron._id);
}

/** The next run in the future, in ns: runs that were missed are not made up for. */
function followingRun(schedule: Value | undefined, at: number): bigint | undefined {
  if (!isFields(schedule) || typeof schedule["type"] !== "string") return undefined;
  const spec = { ...schedule, type: schedule["type"] };
  let next = nextRun(spec, at);
  while (next !== undefined && next <= Date.now()) next = nextRun(spec, next);
  return next === undefined ? undefined : BigInt(Math.floor(next)) * 1_000_000n;
}

/** The backend's side of one isolate thread: starts jobs in it, answers what they ask, ends it when a job runs too long. */
import { MessageChannel, Worker } from "node:worker_threads";
import { threadEntry } from "../entry.ts";
import type { LogLine } from "../types.ts";
import { internalError } from "../types.ts";
import type { CallReply, FromThread, Job, JobResult, PackageSource, ToThread } from "./protocol.ts";

/** What a job needs from outside. */
export interface JobHandlers {
  readonly onLog?: (line: LogLine) => void;
  readonly onCall?: (op: string, args: string, bytes: Uint8Array | undefined, isolate: Isolate) => Promise<string>;
  readonly onSyncCall?: (op: string, args: string) => string;
  readonly onHttpHead?: (status: number, headers: readonly (readonly [string, string])[]) => void;
  readonly onHttpChunk?: (bytes: Uint8Array) => void;
}

/** An error a syscall answers with: `data` is that of a ConvexError as JSON. */
export class CallError extends Error {
  readonly data: unknown;
  constructor(message: string, data?: unknown) {
    super(message);
    this.data = data;
  }
}

interface Running {
  readonly handlers: JobHandlers;
  readonly resolve: (result: JobResult) => void;
  readonly reject: (error: Error) => void;
}

/** Enough for a deployed app with components and pushes under way. */
const MAX_PACKAGES = 24;
const FLAGS = ["--experimental-vm-modules", "--no-warnings"];

export class Isolate {
  readonly #worker: Worker;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  readonly #sync = new MessageChannel();
  readonly #jobs = new Map<number, Running>();
  readonly #packages = new Set<string>();
  #lastRun = 0;
  #dead = false;

  constructor() {
    this.#worker = new Worker(threadEntry(import.meta.url, "./thread.ts"), {
      workerData: { standinRole: "isolate", signal: this.#signal, syncPort: this.#sync.port2 },
      transferList: [this.#sync.port2],
      execArgv: FLAGS,
      env: {},
    });
    this.#worker.on("message", (message: FromThread) => this.#receive(message));
    this.#worker.on("error", () => this.#end());
    this.#worker.on("exit", () => this.#end());
    this.#worker.unref();
    this.#sync.port1.unref();
  }

  get dead(): boolean {
    return this.#dead;
  }

  get busy(): boolean {
    return this.#jobs.size > 0;
  }

  /** `limitMs` bounds the time the thread itself works, not the time it waits for answers. */
  run(job: Job, sources: readonly PackageSource[], handlers: JobHandlers, limitMs?: number): Promise<JobResult> {
    if (this.#dead) return Promise.reject(internalError());
    for (const source of sources) this.#send(source);
    this.#lastRun += 1;
    const run = this.#lastRun;
    return new Promise<JobResult>((resolve, reject) => {
      const stopClock = limitMs === undefined ? () => {} : this.#limit(run, limitMs);
      const finish =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          stopClock();
          this.#jobs.delete(run);
          if (this.#jobs.size === 0) this.#worker.unref();
          settle(value);
        };
      this.#jobs.set(run, { handlers, resolve: finish(resolve), reject: finish(reject) });
      this.#worker.ref();
      this.#post({ type: "start", run, job });
    });
  }

  /** A package goes over once; long-lived threads forget the oldest. */
  #send(source: PackageSource): void {
    if (!this.#packages.delete(source.id)) this.#post({ type: "package", source });
    this.#packages.add(source.id);
    const [oldest] = this.#packages;
    if (this.#packages.size <= MAX_PACKAGES || oldest === undefined) return;
    this.#packages.delete(oldest);
    this.#post({ type: "forget", id: oldest });
  }

  terminate(): void {
    this.#end();
    void this.#worker.terminate();
  }

  /**
   * What counts is the processor time of the thread: on a busy machine it may wait for its turn as long as it likes. The
   * loop's own clock, which costs nothing to read, comes first and never runs behind it.
   */
  #limit(run: number, limitMs: number): () => void {
    const before = this.#worker.performance.eventLoopUtilization().active;
    const usedBefore = this.#processorMs();
    let timer: NodeJS.Timeout;
    let stopped = false;
    const look = async (): Promise<void> => {
      const active = this.#worker.performance.eventLoopUtilization().active - before;
      const used = active < limitMs ? active : (await this.#processorMs()) - (await usedBefore);
      if (stopped) return;
      if (used >= limitMs) this.#timeOut(run, limitMs);
      else timer = setTimeout(() => void look(), limitMs - used + 1);
    };
    timer = setTimeout(() => void look(), limitMs);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }

  /** Processor time of the thread so far; none before it runs and after its end. */
  async #processorMs(): Promise<number> {
    const { user, system } = await this.#worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
    return (user + system) / 1000;
  }

  #timeOut(run: number, limitMs: number): void {
    const plain = `Function execution timed out (maximum duration: ${limitMs / 1000}s)`;
    this.#jobs
      .get(run)
      ?.resolve({ ok: false, error: { text: plain, trace: plain, headline: plain, frames: "", plain } });
    this.terminate();
  }

  #end(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#sync.port1.close();
    for (const job of [...this.#jobs.values()]) job.reject(internalError());
  }

  #receive(message: FromThread): void {
    if (message.type === "ready" || this.#dead) return;
    const job = this.#jobs.get(message.run);
    if (message.type === "done") job?.resolve(message.result);
    else if (message.type === "log")
      job?.handlers.onLog?.({ level: message.level, messages: message.messages, timestamp: message.at });
    else if (message.type === "call") void this.#answer(job, message);
    else if (message.type === "syncCall") this.#answerSync(job, message.op, message.args);
    else if (message.type === "httpHead") job?.handlers.onHttpHead?.(message.status, message.headers);
    else job?.handlers.onHttpChunk?.(message.bytes);
  }

  async #answer(job: Running | undefined, message: Extract<FromThread, { type: "call" }>): Promise<void> {
    let reply: CallReply;
    try {
      if (job?.handlers.onCall === undefined) throw new CallError(`Unknown async operation ${message.op}`);
      reply = { ok: true, value: await job.handlers.onCall(message.op, message.args, message.bytes, this) };
    } catch (error) {
      reply = failure(error);
    }
    if (!this.#dead) this.#post({ type: "reply", call: message.call, reply });
  }

  #answerSync(job: Running | undefined, op: string, args: string): void {
    let reply: CallReply;
    try {
      if (job?.handlers.onSyncCall === undefined) throw new CallError(`Unknown operation ${op}`);
      reply = { ok: true, value: job.handlers.onSyncCall(op, args) };
    } catch (error) {
      reply = failure(error);
    }
    this.#sync.port1.postMessage(reply);
    Atomics.store(this.#signal, 0, 1);
    Atomics.notify(this.#signal, 0);
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}

function failure(error: unknown): CallReply {
  const message = error instanceof Error ? error.message : String(error);
  const data = error instanceof CallError ? error.data : undefined;
  return { ok: false, message, ...(data === undefined ? {} : { data }) };
}

/** Threads of one backend: transactions get one to themselves, actions share one. */
export class IsolatePool {
  readonly #transactions: Isolate[] = [];
  #actions: Isolate | undefined;
  readonly #queue: ((isolate: Isolate) => void)[] = [];
  readonly #taken = new Set<Isolate>();
  #closed = false;
  readonly #size: number;

  constructor(size = 2) {
    this.#size = size;
  }

  /** Starts a thread ahead of its first job. */
  warm(): void {
    if (!this.#closed && this.#transactions.every((isolate) => isolate.dead)) this.#transactions.push(new Isolate());
  }

  /** A thread of its own while `work` runs. */
  async exclusive<T>(work: (isolate: Isolate) => Promise<T>): Promise<T> {
    const isolate = await this.#take();
    try {
      return await work(isolate);
    } finally {
      this.#release(isolate);
    }
  }

  shared(): Isolate {
    if (this.#closed) throw internalError();
    if (this.#actions === undefined || this.#actions.dead) this.#actions = new Isolate();
    return this.#actions;
  }

  close(): void {
    this.#closed = true;
    for (const isolate of this.#transactions) isolate.terminate();
    this.#actions?.terminate();
  }

  #take(): Promise<Isolate> {
    if (this.#closed) return Promise.reject(internalError());
    for (let i = this.#transactions.length - 1; i >= 0; i -= 1)
      if (this.#transactions[i]?.dead) this.#transactions.splice(i, 1);
    const idle = this.#transactions.find((isolate) => !this.#taken.has(isolate));
    if (idle !== undefined) return Promise.resolve(this.#mark(idle));
    if (this.#transactions.length < this.#size) {
      const fresh = new Isolate();
      this.#transactions.push(fresh);
      return Promise.resolve(this.#mark(fresh));
    }
    return new Promise((resolve) => this.#queue.push(resolve));
  }

  #mark(isolate: Isolate): Isolate {
    this.#taken.add(isolate);
    return isolate;
  }

  #release(isolate: Isolate): void {
    this.#taken.delete(isolate);
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#take().then(next, () => {});
  }
}

/**
 * One client of the sync protocol (contract 6.1). Messages that change the session's version are handled one after
 * another; mutations and actions run beside them and are answered when they are done. After every commit the queries
 * whose reads it touched are run again.
 */
import type { WebSocket } from "ws";
import { readArgs } from "./function-endpoints.ts";
import { newRequestId } from "./functions.ts";
import { hasKey, type Identities, isReadOnly, readOnlyRefusal } from "./identity.ts";
import { type AnswerDeps, answerQuery, callAnswer } from "./sync-answers.ts";
import { type ClientMessage, MessageError, type QueryRequest, readMessage } from "./sync-messages.ts";
import { ApiError, FunctionError, type Identity, type Outcome, type ReadTransaction, type Store } from "./types.ts";
import { int64Base64 } from "./values.ts";

const PING_MS = 15_000;
export interface SessionDeps extends AnswerDeps {
  readonly store: Store;
  readonly identities: Identities;
  /** Whether a component of that path exists, unmounted ones too. */
  readonly hasComponent: (tx: ReadTransaction, path: string) => boolean;
}

interface Subscription {
  readonly query: QueryRequest;
  reads: ReadonlySet<string>;
  /** What was sent last, undefined when nothing was. */
  sent: string | undefined;
  stale: boolean;
}

export class SyncSession {
  #socket: WebSocket;
  #deps: SessionDeps;
  #identity: Identity = { kind: "none" };
  #version = { querySet: 0, identity: 0, ts: 0n };
  #queries = new Map<number, Subscription>();
  #queue: Promise<void> = Promise.resolve();
  #skew: number | null = null;
  #ping: NodeJS.Timeout | undefined;
  #refreshing = false;
  /** What was committed since the running transition took its snapshot. */
  #committed = new Set<string>();

  constructor(socket: WebSocket, deps: SessionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#armPing();
    socket.on("message", (data) => this.#enqueue(() => this.#receive(String(data))));
    socket.on("close", () => {
      clearTimeout(this.#ping);
      this.#queries.clear();
    });
    socket.on("error", () => socket.terminate());
  }

  cut(): void {
    this.#socket.terminate();
  }

  /** Something was committed. */
  invalidate(keys: ReadonlySet<string>): void {
    for (const key of keys) this.#committed.add(key);
    this.#markStale(keys);
  }

  #markStale(keys: ReadonlySet<string>): void {
    let stale = false;
    for (const subscription of this.#queries.values()) {
      if (!intersects(subscription.reads, keys)) continue;
      subscription.stale = true;
      stale = true;
    }
    if (!stale || this.#refreshing) return;
    this.#refreshing = true;
    this.#enqueue(async () => {
      this.#refreshing = false;
      await this.#transition({});
    });
  }

  #enqueue(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#socket.readyState !== this.#socket.OPEN) return;
      try {
        await work();
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  /** Each defect has its own end (contract 6.1). */
  #fail(error: unknown): void {
    if (error instanceof MessageError) {
      this.#send({ type: "FatalError", error: error.message });
      this.#socket.close();
    } else if (error instanceof ApiError && error.status === 403) {
      this.#send({ type: "FatalError", error: error.message });
      this.#socket.close(1000, error.code);
    } else this.#socket.close(1011, "InternalServerError");
  }

  async #receive(text: string): Promise<void> {
    const message = readMessage(text);
    switch (message.type) {
      case "Connect":
        this.#skew = message.clientTs === undefined ? null : message.clientTs - Date.now();
        return;
      case "Authenticate":
        return this.#authenticate(message);
      case "ModifyQuerySet":
        return this.#modify(message);
      case "Mutation":
      case "Action":
        return this.#startCall(message);
      default:
        return;
    }
  }

  async #authenticate(message: ClientMessage & { type: "Authenticate" }): Promise<void> {
    if (message.baseVersion !== this.#version.identity) throw new Error("wrong base version");
    try {
      this.#identity = await this.#identify(message);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { baseVersion } = message;
      this.#send({ type: "AuthError", error: error.message, baseVersion, authUpdateAttempted: true });
      this.#socket.close();
      return;
    }
    for (const subscription of this.#queries.values()) subscription.stale = true;
    await this.#transition({ identity: this.#version.identity + 1, force: true });
  }

  async #identify({ tokenType, value }: ClientMessage & { type: "Authenticate" }): Promise<Identity> {
    const { identities } = this.#deps;
    if (tokenType === "Admin") return identities.byKey(value);
    if (tokenType === "User") return { kind: "user", user: await identities.verifyToken(value) };
    return { kind: "none" };
  }

  async #modify(message: ClientMessage & { type: "ModifyQuerySet" }): Promise<void> {
    const { baseVersion, newVersion, modifications } = message;
    if (baseVersion !== this.#version.querySet) {
      throw new MessageError(
        `Base version ${baseVersion} passed up doesn't match the current version ${this.#version.querySet}`,
      );
    }
    const removed: string[] = [];
    for (const modification of modifications) {
      if (modification.type === "Add") {
        this.#checkComponent(modification.query.component);
        const query = modification.query;
        this.#queries.set(modification.queryId, { query, reads: new Set(), sent: undefined, stale: true });
      } else if (this.#queries.delete(modification.queryId)) {
        removed.push(JSON.stringify({ type: "QueryRemoved", queryId: modification.queryId }));
      }
    }
    await this.#transition({ querySet: newVersion, modifications: removed, force: true });
  }

  /** Anything wrong with a component ends the whole connection. */
  #checkComponent(component: string): void {
    if (component === "") return;
    const { store, hasComponent } = this.#deps;
    if (!hasKey(this.#identity) || !hasComponent(store.beginRead(), component)) throw new Error("unknown component");
  }

  /** Runs what is stale at one snapshot and tells the client the difference. */
  async #transition(change: {
    querySet?: number;
    identity?: number;
    modifications?: string[];
    force?: boolean;
  }): Promise<void> {
    // Taken before the queries run: what is committed meanwhile is told by the next transition.
    const tx = this.#deps.store.beginRead();
    this.#committed.clear();
    const modifications = [...(change.modifications ?? [])];
    // In order of the Adds.
    for (const [queryId, subscription] of this.#queries) {
      if (!subscription.stale) continue;
      // Cleared before the run: a commit meanwhile makes it stale again.
      subscription.stale = false;
      const answer = await answerQuery(this.#deps, this.#identity, subscription.query, tx.fork());
      subscription.reads = answer.reads;
      if (answer.same === subscription.sent) continue;
      subscription.sent = answer.same;
      modifications.push(answer.text(queryId));
    }
    // Their reads were not known yet when this was committed.
    this.#markStale(this.#committed);
    if (modifications.length === 0 && change.force !== true) return;
    const end = {
      querySet: change.querySet ?? this.#version.querySet,
      identity: change.identity ?? this.#version.identity,
      ts: tx.ts,
    };
    const fields = [
      `"type":"Transition"`,
      `"startVersion":${versionText(this.#version)}`,
      `"endVersion":${versionText(end)}`,
      `"modifications":[${modifications.join(",")}]`,
      `"clientClockSkew":${this.#skew}`,
      `"serverTs":${BigInt(Date.now()) * 1_000_000n}`,
    ];
    this.#version = end;
    this.#sendText(`{${fields.join(",")}}`);
  }

  /** Refuses what is not permitted at once; the call itself does not hold up the session. */
  #startCall(message: ClientMessage & { type: "Mutation" | "Action" }): void {
    const { type: kind } = message;
    if (isReadOnly(this.#identity)) throw readOnlyRefusal(this.#identity, kind);
    this.#checkComponent(message.query.component);
    this.#call(message).catch((error: unknown) => this.#fail(error));
  }

  async #call({ type: kind, requestId: id, query }: ClientMessage & { type: "Mutation" | "Action" }): Promise<void> {
    const requestId = newRequestId();
    const { path, component } = query;
    const identity = this.#identity;
    let outcome: Outcome & { ts?: bigint };
    try {
      const args = readArgs(path, query.args);
      const call = {
        component,
        path,
        kind,
        args,
        identity,
        caller: "SyncWorker",
        visibility: "public",
        requestId,
      } as const;
      outcome = await this.#deps.functions.run(call);
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      outcome = { status: "error", error, logLines: [] };
    }
    this.#enqueue(async () => {
      this.#sendText(callAnswer(this.#deps.redact, { kind, id, requestId, outcome }));
      await this.#transition({ force: true });
    });
  }

  #send(message: Record<string, unknown>): void {
    this.#sendText(JSON.stringify(message));
  }

  #sendText(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(text);
    this.#armPing();
  }

  #armPing(): void {
    clearTimeout(this.#ping);
    this.#ping = setTimeout(() => this.#send({ type: "Ping" }), PING_MS);
    this.#ping.unref();
  }
}

function versionText(version: { querySet: number; identity: number; ts: bigint }): string {
  const { querySet, identity, ts } = version;
  return JSON.stringify({ querySet, identity, ts: int64Base64(ts) });
}

function intersects(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const key of b) if (a.has(key)) return true;
  return false;
}

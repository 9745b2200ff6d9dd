/** Function logs and the long polls that read them (contract 6.2). */
import { parseClient } from "./client-version.ts";
import { hasKey } from "./identity.ts";
import { jsonResponse } from "./server.ts";
import { object, string } from "./shapes.ts";
import { ApiError, type ApiRequest, type ApiResponse, internalError, type LogLine, type Routes } from "./types.ts";
import { floatText } from "./values.ts";

const KEPT = 2000;
const POLL_MS = 60_000;
/** These are Float64 for the backend, so they keep their point. */
const FLOATS = ["timestamp", "executionTime", "executionTimestamp", "returnBytes"];

/** Fields in the order in which they are sent; `logLines` are rendered for each client. */
export type LogEntry = { readonly logLines: readonly LogLine[] } & Readonly<Record<string, unknown>>;

export class FunctionLogs {
  #entries: { at: number; entry: LogEntry }[] = [];
  #last = 0;
  #waiting = new Set<() => void>();

  add(entry: LogEntry): void {
    const now = performance.timeOrigin + performance.now();
    this.#last = Math.max(now, this.#last + 2 ** -11);
    this.#entries.push({ at: this.#last, entry });
    if (this.#entries.length > KEPT) this.#entries.shift();
    for (const wake of this.#waiting) wake();
  }

  after(cursor: number): { entries: LogEntry[]; newCursor: number } {
    const found = this.#entries.filter(({ at }) => at > cursor);
    return { entries: found.map(({ entry }) => entry), newCursor: found.at(-1)?.at ?? cursor };
  }

  /** Until there is something new, or the signal says that nobody waits any longer. */
  async wait(cursor: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.after(cursor).entries.length > 0) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}

/** `[LOG] 'hello' 1` */
export const lineText = (line: LogLine) => `[${line.level}] ${line.messages.join(" ")}`;

export function addLogRoutes(routes: Routes, logs: FunctionLogs): void {
  for (const name of ["stream_function_logs", "stream_udf_execution"]) {
    for (const prefix of ["/api", "/api/app_metrics"]) {
      routes.route("GET", `${prefix}/${name}`, (request) => stream(request, logs, name));
    }
  }
}

async function stream(request: ApiRequest, logs: FunctionLogs, name: string): Promise<ApiResponse> {
  const identity = await request.identity();
  const { cursor: text } = request.queryArgs(object<{ cursor: string }>("StreamArgs", { cursor: string }));
  const cursor = Number(text);
  if (text.trim() === "" || Number.isNaN(cursor)) {
    throw new ApiError(400, "BadQueryArgs", "Failed to deserialize query string: cursor: invalid float literal");
  }
  if (!hasKey(identity)) throw new ApiError(403, "Unauthorized", `Operation ${name} not permitted`);
  await logs.wait(cursor, AbortSignal.any([request.draining, request.closed, AbortSignal.timeout(POLL_MS)]));
  const { entries, newCursor } = logs.after(cursor);
  if (request.draining.aborted && entries.length === 0) throw internalError();
  const client = parseClient(String(request.headers["convex-client"] ?? ""));
  const structured = client?.name === "npm-cli" || client?.name === "dashboard";
  const rendered = entries.map((entry) => entryText(entry, structured));
  return jsonResponse(`{"entries":[${rendered.join(",")}],"newCursor":${floatText(newCursor)}}`);
}

function entryText(entry: LogEntry, structured: boolean): string {
  const lines = entry.logLines.map((line) => (structured ? structuredLine(line) : lineText(line)));
  return text("", { ...entry, logLines: lines });
}

function structuredLine({ messages, timestamp, level }: LogLine) {
  return { messages, isTruncated: false, timestamp: BigInt(Math.floor(timestamp)), level, systemMetadata: null };
}

/** JSON in the given order of fields. */
function text(key: string, value: unknown): string {
  if (typeof value === "number") return FLOATS.includes(key) ? floatText(value) : String(value);
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => text("", item)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  return `{${Object.entries(value)
    .map(([name, item]) => `${JSON.stringify(name)}:${text(name, item)}`)
    .join(",")}}`;
}

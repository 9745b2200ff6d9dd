/**
 * Log lines of the stand-in, in the backend's form (contract 1.1): compact by default, coloured unless NO_COLOR is set,
 * one JSON object a line with `LOG_FORMAT=json`, three lines with `LOG_FORMAT=pretty`; level by `RUST_LOG`.
 */
export type Level = "ERROR" | "WARN" | "INFO" | "DEBUG";

export interface Log {
  /** One event; `target` is the Rust module path that the real backend shows. */
  write(level: Level, target: string, message: string): void;
}

export const silentLog: Log = { write: () => undefined };

const RANK: Record<string, number> = { off: 0, error: 1, warn: 2, info: 3, debug: 4, trace: 5 };
const COLOUR: Record<Level, string> = { ERROR: "31", WARN: "33", INFO: "32", DEBUG: "34" };

/** A log that writes to `sink` (text with its newline) as the variables LOG_FORMAT, NO_COLOR and RUST_LOG say. */
export function makeLog(env: NodeJS.ProcessEnv, sink: (text: string) => void): Log {
  const rankOf = levels(env["RUST_LOG"]);
  const render = renderer(env["LOG_FORMAT"], env["NO_COLOR"] === undefined);
  return {
    write(level, target, message) {
      if ((RANK[level.toLowerCase()] ?? 0) > rankOf(target)) return;
      sink(render(level, target, message));
    },
  };
}

/** The highest rank shown for a target. A filter that cannot be parsed counts as `info`, as in the backend. */
function levels(filter: string | undefined): (target: string) => number {
  const info = RANK["info"] ?? 3;
  if (filter === undefined || filter.trim() === "") return () => info;
  let general: number | undefined;
  const special: { target: string; rank: number }[] = [];
  for (const part of filter.split(",")) {
    const [target = "", level, ...rest] = part.trim().split("=");
    if (rest.length > 0 || target === "") return () => info;
    const rank = RANK[(level ?? target).toLowerCase()];
    if (level === undefined && rank !== undefined) general = rank;
    else if (level !== undefined && rank === undefined) return () => info;
    else special.push({ target, rank: rank ?? 5 });
  }
  return (target) => {
    const match = special
      .filter((s) => target === s.target || target.startsWith(`${s.target}::`))
      .sort((a, b) => b.target.length - a.target.length)[0];
    return match?.rank ?? general ?? 1;
  };
}

type Render = (level: Level, target: string, message: string) => string;

function renderer(format: string | undefined, coloured: boolean): Render {
  if (format === "json") return renderJson;
  const paint = (code: string, text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  if (format === "pretty") {
    return (level, target, message) =>
      `  ${paint("2", stamp())} ${paint(COLOUR[level], level.padStart(5))} ${paint(`1;${COLOUR[level]}`, target)}${paint(COLOUR[level], `: ${message}`)}\n` +
      `    ${paint("2;3", "at")} test/standin (test double)\n\n`;
  }
  return (level, target, message) =>
    `${paint("2", stamp())} ${paint(COLOUR[level], level.padStart(5))} ${paint("2", target)}${paint("2", ":")} ${message}\n`;
}

function renderJson(level: Level, target: string, message: string): string {
  return `${JSON.stringify({ timestamp: stamp(), level, fields: { message }, target })}\n`;
}

/** RFC 3339 with microseconds. */
function stamp(): string {
  const micros = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  const rest = String(micros % 1000).padStart(3, "0");
  return `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${rest}Z`;
}

export interface Access {
  /** `host:port` of the client */
  peer: string;
  method: string;
  /** path with query string, as requested */
  url: string;
  status: number;
  referer?: string | undefined;
  userAgent?: string | undefined;
  contentType?: string | undefined;
  /** bytes, when the answer carries a Content-Length */
  contentLength?: number | undefined;
  ms: number;
}

/** The access log's text (target `convex-cloud-http`). The query string is left out only when it holds `adminKey=`. */
export function accessLine(a: Access): string {
  const query = a.url.indexOf("?");
  const url = query >= 0 && a.url.includes("adminKey=", query) ? a.url.slice(0, query) : a.url;
  return (
    `[] ${a.peer} "${a.method} ${url} HTTP/1.1" ${a.status} "${a.referer ?? "-"}" "${a.userAgent ?? "-"}" ` +
    `${a.contentType ?? "-"} ${a.contentLength ?? "-"} ${a.ms.toFixed(3)}ms`
  );
}

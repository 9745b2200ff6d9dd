import type { IncomingHttpHeaders } from "node:http";
import type { Deps } from "../system/deps.ts";
import { HttpFault, type HttpResponse } from "../system/http.ts";
import { refused, unreachable } from "./faults.ts";
import { isKey } from "./keys.ts";

/** An artifact as GitHub's REST API describes it. */
export interface ArtifactFacts {
  readonly id: number;
  readonly name: string;
  readonly bytes: number;
  readonly created: Date;
  /** `sha256:<hex>` of the bytes that were uploaded. */
  readonly digest: string | undefined;
}

export interface ArtifactPlace {
  /** `github.api_url`: the token is sent there and nowhere else. */
  readonly apiUrl: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly token: string;
}

const NAME = /^convex-backup~(.+)$/;
const PER_PAGE = 100;
const ATTEMPTS = 4;

/** Names of artifacts hold no `/`, and keys no `~`. */
export function nameOfKey(key: string): string {
  return `convex-backup~${key.replaceAll("/", "~")}`;
}

/** Undefined for artifacts that are none of ours. */
export function keyOfName(name: string): string | undefined {
  const key = NAME.exec(name)?.[1]?.replaceAll("~", "/");
  return key !== undefined && isKey(key) ? key : undefined;
}

/** The part of GitHub's REST API that lists, reads and removes artifacts of all runs of a repository. */
export class ArtifactApi {
  readonly #place: ArtifactPlace;
  readonly #deps: Pick<Deps, "http" | "log" | "clock">;

  constructor(place: ArtifactPlace, deps: Pick<Deps, "http" | "log" | "clock">) {
    this.#place = place;
    this.#deps = deps;
  }

  /** All that have not expired, oldest first. */
  async list(name?: string): Promise<readonly ArtifactFacts[]> {
    const found: ArtifactFacts[] = [];
    const filter = name === undefined ? "" : `&name=${encodeURIComponent(name)}`;
    for (let page = 1, seen = 0; ; page += 1) {
      const response = await this.#ask("GET", `artifacts?per_page=${PER_PAGE}&page=${page}${filter}`, "actions: read");
      const { total, artifacts } = readPage(response);
      seen += artifacts.length;
      for (const artifact of artifacts) {
        const facts = readArtifact(artifact);
        if (facts !== undefined) found.push(facts);
      }
      if (seen >= total) break;
      // A part of a list would look like missing backups.
      if (artifacts.length === 0) throw unreachable("artifact", `GitHub listed ${seen} of ${total} artifacts`);
    }
    return found.sort((a, b) => a.id - b.id);
  }

  async find(name: string): Promise<ArtifactFacts | undefined> {
    return (await this.list(name)).find((facts) => facts.name === name);
  }

  async byId(id: number): Promise<ArtifactFacts | undefined> {
    const response = await this.#ask("GET", `artifacts/${id}`, "actions: read");
    return response.status === 404 ? undefined : readArtifact(response.json());
  }

  async remove(id: number): Promise<void> {
    await this.#ask("DELETE", `artifacts/${id}`, "actions: write");
  }

  /** The bytes from `position` on. @throws ActionError `store-unreachable` for what may pass */
  async *download(id: number, position: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const redirect = await this.#ask("GET", `artifacts/${id}/zip`, "actions: read");
    const { location } = redirect.headers;
    if (location === undefined) throw unreachable("artifact", `GitHub gave no address for artifact ${id}`);
    let skip = position;
    try {
      // Not to GitHub's API any more: without the token.
      const answer = await this.#deps.http.stream(location, {
        timeoutMs: 60_000,
        ...(position === 0 ? {} : { headers: { range: `bytes=${position}-` } }),
        ...(signal === undefined ? {} : { signal }),
      });
      if (answer.status !== 200 && answer.status !== 206) {
        answer.body.destroy();
        throw unreachable("artifact", `the storage answered ${answer.status}`);
      }
      if (answer.status === 206) skip = 0;
      for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
        const rest = chunk.subarray(skip);
        skip -= chunk.length - rest.length;
        if (rest.length > 0) yield rest;
      }
    } catch (failure) {
      signal?.throwIfAborted();
      if (failure instanceof HttpFault || isCut(failure)) {
        throw unreachable("artifact", "the download was cut", { cause: failure });
      }
      throw failure;
    }
  }

  /** Any status below 300, 302 and 404 come back. */
  async #ask(method: string, path: string, permission: string): Promise<HttpResponse> {
    const { apiUrl, repository, token } = this.#place;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#deps.http
        .request(`${apiUrl}/repos/${repository}/actions/${path}`, {
          method,
          headers: {
            accept: "application/vnd.github+json",
            authorization: `Bearer ${token}`,
            "user-agent": "convex-selfhost-action",
            "x-github-api-version": "2022-11-28",
          },
        })
        .catch((failure: unknown) => {
          if (failure instanceof HttpFault) return failure;
          throw failure;
        });
      if (!(answer instanceof HttpFault) && isDone(answer.status)) return answer;
      const text =
        answer instanceof HttpFault ? answer.message : `GitHub answered ${answer.status}: ${messageIn(answer)}`;
      const passes = answer instanceof HttpFault || answer.status >= 500 || isRateLimit(answer.status, answer.headers);
      if (!passes) throw refusal(answer.status, text, permission);
      if (attempt === ATTEMPTS) throw unreachable("artifact", text);
      this.#deps.log.info(`${method} ${path.replace(/\?.*/, "")}: attempt ${attempt} failed: ${text}`);
      await this.#deps.clock.sleep(waitMs(attempt, answer instanceof HttpFault ? {} : answer.headers));
    }
  }
}

function isDone(status: number): boolean {
  return status < 300 || status === 302 || status === 404;
}

function refusal(status: number, text: string, permission: string): Error {
  const hint =
    status === 401
      ? "Leave github-token out, so that the job's own is used."
      : `Give the job permissions: ${permission}.`;
  return refused(`This job's github-token may not do that. ${text}.`, hint);
}

/** GitHub docs, "Rate limits for the REST API": 403 or 429 with one of these headers. */
function isRateLimit(status: number, headers: IncomingHttpHeaders): boolean {
  if (status !== 403 && status !== 429) return false;
  return status === 429 || headers["retry-after"] !== undefined || headers["x-ratelimit-remaining"] === "0";
}

function waitMs(attempt: number, headers: IncomingHttpHeaders): number {
  const asked = Number(headers["retry-after"] ?? Number.NaN) * 1000;
  return Number.isFinite(asked) ? Math.min(asked, 60_000) : 300 * 2 ** attempt;
}

function isCut(failure: unknown): boolean {
  return failure instanceof Error && "code" in failure && /^E(CONN|PIPE|TIMEDOUT)|PREMATURE/.test(String(failure.code));
}

function messageIn(response: HttpResponse): string {
  try {
    const { message } = response.json() as { message?: unknown };
    return typeof message === "string" ? message : "no reason";
  } catch {
    return "no reason";
  }
}

function readPage(response: HttpResponse): { readonly total: number; readonly artifacts: readonly unknown[] } {
  if (response.status === 404) {
    throw refused("GitHub does not show this repository's artifacts.", "Give the job permissions: actions: read.");
  }
  const { total_count: total, artifacts } = response.json() as { total_count?: unknown; artifacts?: unknown };
  if (typeof total !== "number" || !Array.isArray(artifacts)) {
    throw unreachable("artifact", "GitHub's list of artifacts is not what it should be");
  }
  return { total, artifacts };
}

/** Undefined for one that has expired. */
function readArtifact(value: unknown): ArtifactFacts | undefined {
  const { id, name, size_in_bytes: bytes, expired, created_at: created, digest } = value as Record<string, unknown>;
  if (typeof id !== "number" || typeof name !== "string" || typeof bytes !== "number" || typeof created !== "string") {
    throw unreachable("artifact", "GitHub's description of an artifact is not what it should be");
  }
  if (expired === true) return undefined;
  return { id, name, bytes, created: new Date(created), digest: typeof digest === "string" ? digest : undefined };
}

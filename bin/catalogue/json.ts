import type { Http } from "../../src/system/http.ts";

export type Fields = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const LARGEST = 32 * 1024 * 1024;

/** A JSON answer; undefined for 404 and for a redirect, which GitHub answers for repositories that were renamed. */
export async function getJson(url: string, token: string | undefined, http: Http): Promise<unknown> {
  const headers = {
    accept: "application/vnd.github+json",
    "user-agent": "convex-selfhost-action",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const answer = await http.request(url, { headers, timeoutMs: 30_000, maxBytes: LARGEST });
  if (answer.status === 404 || (answer.status >= 300 && answer.status < 400)) return undefined;
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${answer.text().slice(0, 200)}`);
  return answer.json();
}

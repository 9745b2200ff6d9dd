import { readFileSync } from "node:fs";

export type Visibility = "public" | "private" | "internal" | "unknown";

/** Who can see the repository that this job runs for, as its event tells. */
export function visibilityOf(env: Readonly<Record<string, string | undefined>>): Visibility {
  const path = env["GITHUB_EVENT_PATH"];
  if (path === undefined) return "unknown";
  try {
    const payload = JSON.parse(readFileSync(path, "utf8")) as {
      repository?: { visibility?: unknown; private?: unknown };
    };
    const { visibility, private: hidden } = payload.repository ?? {};
    if (visibility === "public" || visibility === "private" || visibility === "internal") return visibility;
    return hidden === true ? "private" : hidden === false ? "public" : "unknown";
  } catch {
    return "unknown";
  }
}

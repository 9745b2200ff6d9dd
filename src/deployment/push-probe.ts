import type { Http } from "../system/http.ts";
import { wireError } from "./backend-error.ts";
import { missingRoute } from "./push-refusals.ts";
import type { Verdict } from "./push-verdict.ts";

/**
 * Which pushes a backend takes, told by what it answers, since it does not tell its version (contract 5.4):
 * `old` before 2025-11-04, `whole` before 2026-01-22, then `current`; undefined where the answer tells nothing.
 */
export type PushDialect = "old" | "whole" | "current";

/** As CLIs from 1.31.7 on send it, with nothing in it and without a key: refused whatever the backend is. */
const EMPTY_PUSH = {
  adminKey: "",
  dryRun: true,
  functions: "convex/",
  appDefinition: {
    definition: null,
    dependencies: [],
    schema: null,
    changedModules: [],
    unchangedModuleHashes: [],
    udfServerVersion: "1.0.0",
  },
  componentDefinitions: [],
  nodeDependencies: [],
};

/** The form of a body is judged before its key (contract 5.2), so no key is shown for this. */
export async function probeDialect(http: Http, url: string): Promise<PushDialect | undefined> {
  const response = await http
    .request(`${url}/api/deploy2/evaluate_push`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(EMPTY_PUSH),
    })
    .catch(() => undefined);
  if (response === undefined) return undefined;
  if (response.status === 404 && response.body.length === 0) return "old";
  const wire = wireError(response.text());
  if (wire?.code === "BadJsonBody") return wire.message.includes("missing field `functions`") ? "whole" : undefined;
  return response.status === 401 && wire?.code === "BadAdminKey" ? "current" : undefined;
}

/** Why this CLI cannot deploy to such a backend; undefined when it can. */
export function unfit(cliVersion: string, dialect: PushDialect | undefined): Verdict | undefined {
  if (dialect === "old" && !olderThan(cliVersion, [1, 29, 2])) {
    return missingRoute({ endpoint: "evaluate_push", status: 404, code: "", message: "", inSchema: false }, cliVersion);
  }
  if (dialect === "whole" && !olderThan(cliVersion, [1, 31, 7])) {
    return {
      code: "cli-too-new",
      message: `convex ${cliVersion} sends only the modules that changed, which this backend (it answers like releases before 2026-01-22) does not understand.`,
      hint: "Use a newer backend, or convex 1.31.6 or older.",
    };
  }
  return undefined;
}

export function olderThan(version: string, limit: readonly [number, number, number]): boolean {
  const numbers = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (numbers === undefined) return false;
  const at = numbers.findIndex((number, index) => number !== limit[index]);
  return at !== -1 && (numbers[at] ?? 0) < (limit[at] ?? 0);
}

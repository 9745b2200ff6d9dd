import type { Log } from "../system/deps.ts";

/** What the later steps get to know. */
export interface JobExports {
  readonly url: string;
  readonly siteUrl: string;
  readonly adminKey: string;
  readonly urlVariables: readonly string[];
}

// Any of these set in the job would silently send the user's next `npx convex` to another deployment (contract 5.1).
const MISLEADING = ["CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT_TOKEN", "CONVEX_DEPLOYMENT"] as const;

/** The variables for the later steps, in the order in which the summary names them. */
export function jobVariables(exports: JobExports): Map<string, string> {
  return new Map([
    ["CONVEX_SELF_HOSTED_URL", exports.url],
    ["CONVEX_SELF_HOSTED_ADMIN_KEY", exports.adminKey],
    ["CONVEX_SITE_URL", exports.siteUrl],
    ...exports.urlVariables.map((name) => [name, exports.url] as const),
    ...MISLEADING.map((name) => [name, ""] as const),
  ]);
}

/** Warns of what the job had set already: another deployment, or another backend of this job. */
export function warnOfOverwritten(
  env: Readonly<Record<string, string | undefined>>,
  exports: JobExports,
  log: Log,
): void {
  const misleading = MISLEADING.filter((name) => (env[name] ?? "") !== "");
  if (misleading.length > 0) {
    log.warning(
      `${misleading.join(", ")} was set in this job and would have sent convex commands of later steps to another deployment. It is empty from here on; set export-env: false to keep it.`,
    );
  }
  const before = env["CONVEX_SELF_HOSTED_URL"] ?? "";
  if (before !== "" && before !== exports.url) {
    log.warning(
      `CONVEX_SELF_HOSTED_URL was ${before}; from here on later steps find ${exports.url}. Set export-env: false to keep the first one and use this step's outputs instead.`,
    );
  }
}

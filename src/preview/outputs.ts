import { exportToJob, setOutput, setSecretOutput } from "../runner/outputs.ts";
import { jobVariables, warnOfOverwritten } from "../start/exports.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import type { PreparedUp } from "./prepare.ts";
import type { Applied } from "./target.ts";

/** Sets the outputs that are known once the preview answers, and the variables of the later steps. */
export function tellJob(
  prepared: PreparedUp,
  { applied, adminKey, digest, readyMs }: { applied: Applied; adminKey: string; digest?: string; readyMs: number },
  deps: Deps,
): void {
  const { plan, inputs, image, instanceName } = prepared;
  const { cloud, site } = applied.origins;
  const plain: Record<string, string | undefined> = {
    url: cloud,
    "site-url": site,
    "dashboard-url": applied.dashboardUrl,
    "instance-name": instanceName,
    outcome: applied.outcome,
    commit: plan.commit,
    version: image.release ?? image.commit ?? "unknown",
    "image-digest": digest,
    "ready-ms": String(readyMs),
  };
  for (const [name, value] of Object.entries(plain)) if (value !== undefined) setOutput(name, value, tempOf(deps));
  setSecretOutput("admin-key", adminKey);
  if (!inputs.exportEnv) return;
  const exports = { url: cloud, siteUrl: site, adminKey, urlVariables: inputs.urlVariables };
  warnOfOverwritten(deps.env, exports, deps.log);
  for (const [name, value] of jobVariables(exports)) exportToJob(name, value);
}

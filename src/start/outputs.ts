import { exportToJob, setOutput, setSecretOutput } from "../runner/outputs.ts";
import { tempOf } from "../system/temp.ts";
import { jobVariables, warnOfOverwritten } from "./exports.ts";
import type { Run, Usable } from "./run.ts";

/** Sets the outputs that are known once the backend answers. */
export function setOutputs(usable: Usable, run: Run): void {
  const { launched, adminKey, instanceName } = usable;
  const { backend } = launched;
  const directory = tempOf(run.deps);
  const plain: Record<string, string | undefined> = {
    url: backend.url,
    "site-url": backend.siteUrl,
    "instance-name": instanceName,
    version: launched.version ?? "unknown",
    "image-digest": backend.imageDigest,
    "container-id": backend.containerId,
    pid: backend.pid === undefined ? undefined : String(backend.pid),
    "ready-ms": String(run.deps.clock.now() - run.timeline.start),
  };
  for (const [name, value] of Object.entries(plain)) if (value !== undefined) setOutput(name, value, directory);
  setSecretOutput("admin-key", adminKey);
  if (launched.instanceSecret !== undefined) setSecretOutput("instance-secret", launched.instanceSecret);
}

/** Sets the variables of the later steps; returns the names for the summary. */
export function exportVariables(usable: Usable, run: Run): string[] {
  const { inputs } = run.prepared;
  if (!inputs.exportEnv) return [];
  const exports = {
    url: usable.launched.backend.url,
    siteUrl: usable.launched.backend.siteUrl,
    adminKey: usable.adminKey,
    urlVariables: inputs.urlVariables,
  };
  warnOfOverwritten(run.deps.env, exports, run.deps.log);
  const variables = jobVariables(exports);
  for (const [name, value] of variables) exportToJob(name, value);
  return [...variables].filter(([, value]) => value !== "").map(([name]) => name);
}

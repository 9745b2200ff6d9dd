import { deploy } from "../deploy/deploy.ts";
import { inputsOf } from "../runner/inputs.ts";
import { GRACE_MS, runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

// The step began with this process, not with this line.
const startedAt = Math.round(performance.timeOrigin);
await runAction((cancelled) => deploy(inputsOf(process.env), systemDeps, startedAt, cancelled), { graceMs: GRACE_MS });

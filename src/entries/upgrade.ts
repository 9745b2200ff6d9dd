import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";
import { upgrade } from "../upgrade/upgrade.ts";

// The step began with this process, not with this line.
const startedAt = Math.round(performance.timeOrigin);
await runAction(() => upgrade(inputsOf(process.env), systemDeps, startedAt));

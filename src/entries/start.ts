import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { start } from "../start/start.ts";
import { systemDeps } from "../system/system.ts";

// The step began with this process, not with this line.
const startedAt = Math.round(performance.timeOrigin);
await runAction(() => start(inputsOf(process.env), systemDeps, startedAt));

import { restore } from "../restore/restore.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

// The step began with this process, not with this line.
const startedAt = Math.round(performance.timeOrigin);
await runAction(() => restore(inputsOf(process.env), systemDeps, startedAt));

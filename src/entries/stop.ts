import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { stop } from "../start/stop.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => stop(inputsOf(process.env)("job-status"), systemDeps));

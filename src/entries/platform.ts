import { platform } from "../platform/platform.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => platform(inputsOf(process.env), systemDeps));

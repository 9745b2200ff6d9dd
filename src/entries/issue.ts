import { issue } from "../issue/issue.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => issue(inputsOf(process.env), systemDeps));

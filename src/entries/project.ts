import { project } from "../project/project.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => project(inputsOf(process.env), systemDeps));

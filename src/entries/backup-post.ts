import { clean } from "../backup/clean.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => clean(inputsOf(process.env), systemDeps));

import { findBackup } from "../find-backup/find-backup.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => findBackup(inputsOf(process.env), systemDeps));

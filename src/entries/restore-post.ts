import { restorePost } from "../restore/post.ts";
import { inputsOf } from "../runner/inputs.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => restorePost(inputsOf(process.env), systemDeps));

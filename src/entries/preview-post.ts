import { post } from "../preview/post.ts";
import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";

await runAction(() => post(systemDeps));

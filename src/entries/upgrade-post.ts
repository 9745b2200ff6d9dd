import { runAction } from "../runner/run.ts";
import { systemDeps } from "../system/system.ts";
import { upgradePost } from "../upgrade/post.ts";

await runAction(() => upgradePost(systemDeps));

/** Everything that is attached to a backend before it listens. */
import type { Backend } from "./backend.ts";
import { attachDeploy } from "./deploy.ts";
import { attachFiles } from "./files.ts";
import { attachSnapshots } from "./snapshots/attach.ts";
import { attachUsers } from "./users.ts";

export async function attachParts(backend: Backend): Promise<void> {
  attachDeploy(backend);
  attachFiles(backend);
  attachSnapshots(backend);
  attachUsers(backend);
}

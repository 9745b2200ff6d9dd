import { type Manifest, timeOf } from "../backup/manifest.ts";
import { pickBackup } from "../restore/pick.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import { checkStoreSettings } from "../store/destination.ts";
import { openStore } from "../store/open.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { readFindBackupInputs } from "./inputs.ts";

const UNKNOWN = "unknown";

/** What a job needs to know before it can check out and start what a backup is of. Unknown things are empty. */
export function outputsOf({ id, code, backend, instance, snapshot }: Manifest): Readonly<Record<string, string>> {
  const known = (text: string): string => (text === UNKNOWN ? "" : text);
  return {
    "backup-id": id,
    // Whoever may write to the bucket may write a manifest: what is checked out by it has to be a commit, and no ref.
    commit: /^[0-9a-f]{40}$/.test(code.commit) ? code.commit : "",
    "backend-version": known(backend.version),
    "instance-name": instance.name,
    "taken-at": timeOf(snapshot.timestamp),
  };
}

/**
 * The find-backup action: reads the manifest of one backup, and nothing else of it.
 * @throws ActionError `backup-missing`, `backup-ambiguous`, and those of the store and the manifest
 */
export async function findBackup(read: ReadInput, deps: Deps): Promise<void> {
  const inputs = readFindBackupInputs(read, deps.env["GITHUB_WORKSPACE"] ?? process.cwd());
  const { endpoint, region, forcePathStyle } = inputs;
  const settings = { destination: inputs.source, endpoint, region, forcePathStyle };
  checkStoreSettings(settings, "source");
  const store = openStore(settings, deps, inputs.githubToken);
  const outputs = outputsOf(await pickBackup(store, inputs.backupId, deps.log));
  const directory = tempOf(deps);
  for (const [name, value] of Object.entries(outputs)) setOutput(name, value, directory);
  const { commit, "backup-id": id, "taken-at": takenAt } = outputs;
  deps.log.info(`Backup ${id} of ${takenAt}, code ${commit === "" ? "unknown" : commit}.`);
}

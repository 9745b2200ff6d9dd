import { CLIENT_VERSION } from "../deployment/connection.ts";
import { sizeText } from "../runner/meter.ts";
import { seconds } from "../runner/summary.ts";
import { type CompletedExport, expireExport, exportSnapshot } from "../snapshot/export.ts";
import { type DeploymentFacts, fingerprintOfInstance, readFacts } from "./facts.ts";
import { checkStored, storeManifest } from "./keep.ts";
import { MANIFEST_VERSION, type Manifest, type ManifestObject } from "./manifest.ts";
import { OBJECTS } from "./objects.ts";
import type { Run } from "./run.ts";
import { describeVariables, newFingerprintKey, settingsBytes } from "./settings.ts";
import { checkSpace } from "./space.ts";
import { together } from "./together.ts";
import { type Carrier, store, type Transferred, transferSnapshot } from "./transfer.ts";

const carrierOf = ({ id, store, inputs }: Run, signal: AbortSignal): Carrier => ({
  id,
  store,
  recipients: inputs.recipients,
  lockDays: inputs.lockDays,
  signal,
});

async function takeSnapshot(
  run: Run,
  signal: AbortSignal,
  onRequested: (id: string) => void,
): Promise<CompletedExport> {
  const { client, deps, inputs, save } = run;
  const completed = await exportSnapshot(client, deps, {
    includeStorage: inputs.includeFileStorage,
    timeoutMs: inputs.exportTimeoutMs,
    signal,
    onRequest: (newest) => save({ exportBefore: newest ?? null }),
    onRequested: (exportId) => {
      save({ exportId });
      onRequested(exportId);
    },
  });
  deps.log.info(`The backend wrote a snapshot of ${sizeText(completed.bytes)} in ${seconds(completed.ms)}.`);
  return completed;
}

async function checkRoom({ inputs, directory }: Run, { bytes }: CompletedExport): Promise<void> {
  const { destination } = inputs.store;
  // A store that takes files only keeps a second copy for a while.
  const needs = [{ path: directory, bytes: destination.kind === "artifact" ? 2 * bytes : bytes }];
  if (destination.kind === "directory") needs.push({ path: destination.path, bytes });
  await checkSpace(needs);
}

/** The bundle of what a recovery needs beside the data; undefined without encryption. */
async function storeSettings(
  run: Run,
  facts: DeploymentFacts,
  key: Buffer,
  signal: AbortSignal,
): Promise<ManifestObject | undefined> {
  const { inputs, id } = run;
  if (inputs.encryption === "none") return undefined;
  const { instanceName, origins, variables } = facts;
  const bytes = settingsBytes({
    id,
    instanceName,
    origins,
    fingerprintKey: key,
    variables: inputs.includeEnv ? variables : undefined,
  });
  const source = (async function* () {
    yield bytes;
  })();
  return await store(carrierOf(run, signal), OBJECTS.settings, source);
}

function describe(
  run: Run,
  facts: DeploymentFacts,
  completed: CompletedExport,
  { inspection, object }: Transferred,
  settings: ManifestObject | undefined,
  key: Buffer,
): Manifest {
  const { inputs, deps, id, startedAt, client } = run;
  const sha = deps.env["GITHUB_SHA"];
  const assumed = inputs.commit === undefined && sha !== undefined && /^[0-9a-f]{40,64}$/.test(sha);
  const { storage, ...rest } = inspection;
  return {
    version: MANIFEST_VERSION,
    id,
    instance: { name: facts.instanceName, fingerprint: fingerprintOfInstance(facts, client.url) },
    startedAt: new Date(startedAt).toISOString(),
    finishedAt: new Date(deps.clock.now()).toISOString(),
    backend: { version: inputs.backendVersion ?? "unknown" },
    code: { commit: inputs.commit ?? (assumed ? sha : "unknown"), assumed },
    action: { version: CLIENT_VERSION },
    encryption: inputs.encryption === "none" ? { method: "none" } : { method: "age", recipients: inputs.recipients },
    objects: settings === undefined ? [object] : [object, settings],
    snapshot: { timestamp: completed.timestamp, ...rest, storage: storage ?? null },
    env: {
      values: inputs.includeEnv,
      variables: describeVariables(facts.variables, inputs.encryption === "none" ? undefined : key),
    },
  };
}

/**
 * Makes one backup: a snapshot, stored while it is downloaded, inspected; then what else belongs to it; its manifest
 * last, and only over what was seen in the store. The export on the backend is gone afterwards, whatever happened.
 * @throws ActionError of every part; the signal's reason
 */
export async function makeBackup(run: Run): Promise<Manifest> {
  const { timeline, client, deps, inputs, signal, tell, directory } = run;
  const key = newFingerprintKey();
  let exportId: string | undefined;
  try {
    const [completed, facts] = await together<[CompletedExport, DeploymentFacts]>(signal, (signal) => [
      timeline.phase("export", () =>
        takeSnapshot(run, signal, (id) => {
          exportId = id;
        }),
      ),
      readFacts(client, inputs.adminKey, signal),
    ]);
    tell({ instance: facts.instanceName, exportMs: completed.ms });
    await checkRoom(run, completed);
    const [transferred, settings] = await together<[Transferred, ManifestObject | undefined]>(signal, (signal) => [
      transferSnapshot(carrierOf(run, signal), completed, client, directory, timeline, deps),
      storeSettings(run, facts, key, signal),
    ]);
    const manifest = describe(run, facts, completed, transferred, settings, key);
    await timeline.phase("verify", async () => {
      await checkStored(run, manifest);
      signal.throwIfAborted();
      await storeManifest(run, manifest);
    });
    return manifest;
  } finally {
    if (exportId !== undefined) await expireExport(client, deps, exportId);
  }
}

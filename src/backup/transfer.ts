import { join } from "node:path";
import type { DeploymentClient } from "../deployment/client.ts";
import { ActionError } from "../runner/errors.ts";
import type { Timeline } from "../runner/timeline.ts";
import { downloadExport } from "../snapshot/download.ts";
import { encrypt } from "../snapshot/encrypt.ts";
import { examine } from "../snapshot/examination.ts";
import type { CompletedExport } from "../snapshot/export.ts";
import type { Inspection } from "../snapshot/inspection.ts";
import { Spool } from "../snapshot/spool.ts";
import type { PutOptions, Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import { Digest } from "./digest.ts";
import type { ManifestObject } from "./manifest.ts";
import { OBJECTS } from "./objects.ts";
import { together } from "./together.ts";

/** What one backup needs to get its bytes to where they stay. */
export interface Carrier {
  readonly id: string;
  readonly store: Store;
  /** Nobody: as it is. */
  readonly recipients: readonly string[];
  readonly lockDays: number | undefined;
  readonly signal: AbortSignal;
}

export interface Transferred {
  readonly object: ManifestObject;
  readonly inspection: Inspection;
}

/** Stores one object of a backup, encrypted on the way where there are recipients. */
export async function store(
  carrier: Carrier,
  name: ManifestObject["name"],
  source: AsyncIterable<Uint8Array>,
): Promise<ManifestObject> {
  const { id, recipients, lockDays, signal } = carrier;
  const [plain, stored] = [new Digest(), new Digest()];
  const inner = plain.through(source);
  const body = recipients.length === 0 ? inner : stored.through(encrypt(inner, recipients));
  const options: PutOptions = { signal, ...(lockDays === undefined ? {} : { lockDays }) };
  await carrier.store.put(`${id}/${name}`, body, options);
  const before = { bytes: plain.bytes, sha256: plain.sha256() };
  const after = recipients.length === 0 ? before : { bytes: stored.bytes, sha256: stored.sha256() };
  return { name, ...after, plain: before };
}

async function fill(
  spool: Spool,
  completed: CompletedExport,
  client: DeploymentClient,
  deps: Deps,
  signal: AbortSignal,
): Promise<string> {
  try {
    const sha256 = await downloadExport(client, deps, completed, spool, { signal });
    await spool.complete();
    return sha256;
  } catch (error) {
    spool.fail(error);
    throw error;
  }
}

/**
 * Downloads a snapshot into a private file, encrypts and stores it while it comes, and inspects it as soon as it is
 * there as a whole. The file is gone afterwards.
 * @param directory private to this job
 */
export async function transferSnapshot(
  carrier: Carrier,
  completed: CompletedExport,
  client: DeploymentClient,
  directory: string,
  timeline: Timeline,
  deps: Deps,
): Promise<Transferred> {
  await using spool = await Spool.create(join(directory, OBJECTS.snapshot));
  const name = carrier.recipients.length === 0 ? OBJECTS.snapshot : OBJECTS.encryptedSnapshot;
  const [sha256, inspection, object] = await together<[string, Inspection, ManifestObject]>(
    carrier.signal,
    (signal) => {
      const downloading = timeline.phase("download", () => fill(spool, completed, client, deps, signal));
      const inspecting = downloading.then((sha256) =>
        timeline.phase("inspect", async () => checkSnapshot(await examine(spool.path, { sha256, signal }))),
      );
      const storing = timeline.phase("store", () => store({ ...carrier, signal }, name, spool.read()));
      return [downloading, inspecting, storing];
    },
  );
  if (object.plain.sha256 !== sha256) {
    throw new ActionError(
      "backup-damaged",
      "The snapshot changed on this machine's disk between download and upload.",
      "Run again on another runner: its disk or memory is not reliable.",
    );
  }
  return { object, inspection };
}

const MOST_SHOWN = 3;

/** @throws ActionError `snapshot-defective` when a restore of it would lose or change data */
function checkSnapshot(inspection: Inspection): Inspection {
  const errors = inspection.findings.filter(({ level }) => level === "error");
  if (errors.length === 0) return inspection;
  const shown = errors.slice(0, MOST_SHOWN).map(({ where, message }) => `${where}: ${message}`);
  const more = errors.length > MOST_SHOWN ? ` And ${errors.length - MOST_SHOWN} more.` : "";
  throw new ActionError(
    "snapshot-defective",
    `The snapshot that the backend made could not be restored, so it is no backup. ${shown.join(" ")}${more}`,
    "Run again. If it stays, the backend's data or storage is damaged: look at its log, and keep the backups that you have.",
  );
}

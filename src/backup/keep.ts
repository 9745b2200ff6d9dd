import { ActionError, messageOf } from "../runner/errors.ts";
import type { Manifest } from "./manifest.ts";
import { manifestBytes } from "./manifest.ts";
import { fetchManifestBytes, parseManifest } from "./manifest-reader.ts";
import { OBJECTS } from "./objects.ts";
import type { Run } from "./run.ts";

/** Everything that a backup may have left in its store; the manifest first, so that what remains looks like none. */
export function keysOf(id: string): string[] {
  return [OBJECTS.manifest, OBJECTS.snapshot, OBJECTS.encryptedSnapshot, OBJECTS.settings].map(
    (name) => `${id}/${name}`,
  );
}

function damaged(what: string): ActionError {
  return new ActionError(
    "store-damaged",
    `What the store holds is not what was written: ${what}.`,
    "Run again; if it stays, something else writes to the destination, or it is not reliable.",
  );
}

/** The objects are there, all of them, with the bytes that went in. */
export async function checkStored({ store, id }: Pick<Run, "store" | "id">, manifest: Manifest): Promise<void> {
  const stored = new Map((await store.list(`${id}/`)).map(({ key, bytes }) => [key, bytes]));
  for (const { name, bytes } of manifest.objects) {
    const there = stored.get(`${id}/${name}`);
    if (there === undefined) throw damaged(`${id}/${name} is missing`);
    if (there !== bytes) throw damaged(`${id}/${name} has ${there} bytes, and ${bytes} were written`);
  }
}

/** Writes the manifest, which makes the backup one, and reads it back. */
export async function storeManifest(run: Run, manifest: Manifest): Promise<void> {
  const { store, id, inputs, signal } = run;
  const options = { signal, ...(inputs.lockDays === undefined ? {} : { lockDays: inputs.lockDays }) };
  const bytes = manifestBytes(manifest);
  await store.put(`${id}/${OBJECTS.manifest}`, bytes, options);
  const back = await fetchManifestBytes(store, id, signal);
  // Read as a restore will read it, too.
  parseManifest(back, id);
  if (!back.equals(bytes)) throw damaged(`${id}/${OBJECTS.manifest} reads otherwise`);
}

/** Takes away what a failed run has stored; false where that was refused. Never throws. */
export async function removeStored({ store, id, deps }: Pick<Run, "store" | "id" | "deps">): Promise<boolean> {
  try {
    await store.remove(keysOf(id));
    return true;
  } catch (error) {
    deps.log.warning(
      `What this run had stored below ${store.location}/${id} could not be removed: ${messageOf(error)} Its manifest goes first, and without that it is no backup; a later run that prunes (keep-*) removes it after a day.`,
    );
    return false;
  }
}

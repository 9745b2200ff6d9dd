import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { ActionError } from "../runner/errors.ts";
import { sizeText } from "../runner/meter.ts";

/** Something of that size is about to be written there. */
export interface SpaceNeed {
  readonly path: string;
  readonly bytes: number;
}

/** For logs, outputs and whoever else writes at the same time. */
const MARGIN_BYTES = 32 * 1024 * 1024;

async function existing(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const there = await stat(at).then(
      () => true,
      () => false,
    );
    if (there || at === dirname(at)) return at;
  }
}

/**
 * Whether all of it fits, before the first byte is written. Needs on one file system are added up. A file system that
 * tells no sizes (some of FUSE) is trusted.
 * @throws ActionError `disk-full`
 */
export async function checkSpace(needs: readonly SpaceNeed[]): Promise<void> {
  const byDevice = new Map<number, { path: string; bytes: number }>();
  for (const { path, bytes } of needs) {
    const at = await existing(path);
    const { dev } = await stat(at);
    const before = byDevice.get(dev);
    byDevice.set(dev, { path: before?.path ?? at, bytes: (before?.bytes ?? 0) + bytes });
  }
  for (const { path, bytes } of byDevice.values()) {
    const space = await statfs(path);
    if (space.blocks === 0) continue;
    const free = space.bavail * space.bsize;
    if (free >= bytes + MARGIN_BYTES) continue;
    throw new ActionError(
      "disk-full",
      `${path} has ${sizeText(free)} free, and this backup needs ${sizeText(bytes)} there.`,
      "Free space there, or point RUNNER_TEMP (or the destination) at a larger disk: the snapshot lies in RUNNER_TEMP as a whole for a while.",
    );
  }
}

import type { DeploymentClient } from "../deployment/client.ts";
import { downloadExport } from "../snapshot/download.ts";
import { examine } from "../snapshot/examination.ts";
import { type CompletedExport, discardExport, type ExportWatch, exportSnapshot } from "../snapshot/export.ts";
import type { Inspection } from "../snapshot/inspection.ts";
import type { Deps } from "../system/deps.ts";
import { FileSink } from "./file-sink.ts";

/** A deployment's own snapshot on this machine. */
export interface Look {
  readonly path: string;
  readonly inspection: Inspection;
}

export interface LookOptions {
  /** A file that does not exist yet, in a directory of ours. */
  readonly path: string;
  readonly includeStorage: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Of the export, which a killed step leaves on the server. */
  readonly watch?: ExportWatch | undefined;
}

async function download(client: DeploymentClient, deps: Deps, made: CompletedExport, path: string): Promise<string> {
  const file = await FileSink.create(path);
  try {
    return await downloadExport(client, deps, made, file);
  } finally {
    await file.close();
  }
}

/**
 * Exports a deployment and reads the snapshot: the one way to see everything that is in it, components and files too.
 * The export is made to expire on the server, whatever happens.
 */
export async function lookInto(client: DeploymentClient, options: LookOptions, deps: Deps): Promise<Look> {
  const { path, includeStorage, timeoutMs, signal, watch } = options;
  let id: string | undefined;
  try {
    const made = await exportSnapshot(client, deps, {
      ...watch,
      includeStorage,
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
      onRequested: (requested) => {
        id = requested;
        watch?.onRequested?.(requested);
      },
    });
    const sha256 = await download(client, deps, made, path);
    return { path, inspection: await examine(path, { sha256 }) };
  } finally {
    if (id !== undefined) await discardExport(client, deps, id);
  }
}

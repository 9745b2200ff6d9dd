import { stateOf } from "../runner/state.ts";

/** What the main step leaves for the post step: where the files of an SSH connection are. Holds no secret. */
export interface PreviewState {
  readonly folder: string;
}

function isPreviewState(value: unknown): value is PreviewState {
  return typeof value === "object" && value !== null && "folder" in value && typeof value.folder === "string";
}

export const previewState = stateOf<PreviewState>("preview", isPreviewState);

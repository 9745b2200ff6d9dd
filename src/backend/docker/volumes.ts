import { unlessMissing } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { fieldsOf, listOf, textMapOf, textOf } from "./fields.ts";
import type { Labels } from "./labels.ts";

export interface VolumeEntry {
  readonly name: string;
  readonly labels: Labels;
  readonly created: Date;
}

function volumeEntry(value: unknown): VolumeEntry {
  const entry = fieldsOf(value);
  return {
    name: textOf(entry["Name"]) ?? "",
    labels: textMapOf(entry["Labels"]),
    created: new Date(textOf(entry["CreatedAt"]) ?? 0),
  };
}

/** Creates it; one of that name that is there already is returned as it is, whosever it is. */
export async function createVolume(engine: Engine, name: string, labels: Labels): Promise<VolumeEntry> {
  const body = { Name: name, Labels: labels };
  return volumeEntry(
    (await engine.request(`create the volume ${name}`, "/volumes/create", { method: "POST", body })).json(),
  );
}

/** All volumes that carry these labels (`name=value`). */
export async function listVolumes(engine: Engine, labels: readonly string[]): Promise<VolumeEntry[]> {
  const query = { filters: JSON.stringify({ label: labels }) };
  const answer = await engine.request("list the volumes", "/volumes", { query });
  return listOf(fieldsOf(answer.json())["Volumes"]).map(volumeEntry);
}

/** @returns undefined when there is no such volume */
export async function volumeLabels(engine: Engine, name: string): Promise<Labels | undefined> {
  const path = `/volumes/${encodeURIComponent(name)}`;
  const answer = await unlessMissing(() => engine.request(`inspect the volume ${name}`, path));
  return answer === undefined ? undefined : textMapOf(fieldsOf(answer.json())["Labels"]);
}

/** @returns false when there was none */
export async function removeVolume(engine: Engine, name: string): Promise<boolean> {
  const path = `/volumes/${encodeURIComponent(name)}`;
  const answer = await unlessMissing(() => engine.request(`remove the volume ${name}`, path, { method: "DELETE" }));
  return answer !== undefined;
}

import { unlessMissing } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { fieldsOf, textMapOf } from "./fields.ts";
import type { Labels } from "./labels.ts";

/** An empty volume with our labels. */
export async function createVolume(engine: Engine, name: string, labels: Labels): Promise<void> {
  const body = { Name: name, Labels: labels };
  await engine.request(`create the volume ${name}`, "/volumes/create", { method: "POST", body });
}

/** @returns undefined when there is no such volume */
export async function volumeLabels(engine: Engine, name: string): Promise<Labels | undefined> {
  const path = `/volumes/${encodeURIComponent(name)}`;
  const answer = await unlessMissing(() => engine.request(`inspect the volume ${name}`, path));
  return answer === undefined ? undefined : textMapOf(fieldsOf(answer.json())["Labels"]);
}

export async function removeVolume(engine: Engine, name: string): Promise<void> {
  const path = `/volumes/${encodeURIComponent(name)}`;
  await unlessMissing(() => engine.request(`remove the volume ${name}`, path, { method: "DELETE" }));
}

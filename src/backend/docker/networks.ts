import { unlessMissing } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { fieldsOf, listOf, textMapOf, textOf } from "./fields.ts";
import type { Labels } from "./labels.ts";

export interface NetworkEntry {
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
  readonly created: Date;
}

/** All networks that carry these labels (`name=value`). */
export async function listNetworks(engine: Engine, labels: readonly string[]): Promise<NetworkEntry[]> {
  const query = { filters: JSON.stringify({ label: labels }) };
  const answer = await engine.request("list the networks", "/networks", { query });
  return listOf(answer.json()).map((value) => {
    const entry = fieldsOf(value);
    return {
      id: textOf(entry["Id"]) ?? "",
      name: textOf(entry["Name"]) ?? "",
      labels: textMapOf(entry["Labels"]),
      created: new Date(textOf(entry["Created"]) ?? 0),
    };
  });
}

/** Networks may share a name in older engines, so a second one of it is refused. */
export async function createNetwork(engine: Engine, name: string, labels: Labels): Promise<void> {
  const body = { Name: name, CheckDuplicate: true, Labels: labels };
  await engine.request(`create the network ${name}`, "/networks/create", { method: "POST", body });
}

/** The container must be there; it may run or not. */
export async function connectNetwork(engine: Engine, network: string, container: string): Promise<void> {
  const path = `/networks/${encodeURIComponent(network)}/connect`;
  await engine.request(`connect ${container} to the network ${network}`, path, {
    method: "POST",
    body: { Container: container },
  });
}

/** @returns false when there was none */
export async function removeNetwork(engine: Engine, id: string): Promise<boolean> {
  const path = `/networks/${encodeURIComponent(id)}`;
  const answer = await unlessMissing(() => engine.request(`remove the network ${id}`, path, { method: "DELETE" }));
  return answer !== undefined;
}

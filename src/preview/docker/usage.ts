import type { Engine } from "../../backend/docker/engine.ts";
import { fieldsOf, listOf, numberOf, textOf } from "../../backend/docker/fields.ts";
import type { Found } from "./found.ts";

export interface Usage {
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
}

/** What each preview uses now. Told, not needed: what the engine cannot tell stays away. */
export async function usageOf(engine: Engine, all: readonly Found[]): Promise<ReadonlyMap<string, Usage>> {
  const sizes = await volumeSizes(engine).catch(() => new Map<string, number>());
  const entries = all.map(async (found): Promise<[string, Usage]> => {
    const running = found.containers.filter((one) => one.running);
    const memory = await Promise.all(running.map(({ id }) => memoryOf(engine, id).catch(() => undefined)));
    const disk = found.volumes.map(({ name }) => sizes.get(name));
    return [found.preview, { ...sum("memoryBytes", memory), ...sum("diskBytes", disk) }];
  });
  return new Map(await Promise.all(entries));
}

function sum(name: keyof Usage, values: readonly (number | undefined)[]): Usage {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? {} : { [name]: known.reduce((total, value) => total + value, 0) };
}

/** Walks all volumes of the host, ours or not, which may take a while. */
async function volumeSizes(engine: Engine): Promise<Map<string, number>> {
  const answer = await engine.request("measure the volumes", "/system/df", {
    query: { type: "volume" },
    timeoutMs: 120_000,
  });
  const volumes = listOf(fieldsOf(answer.json())["Volumes"]).map(fieldsOf);
  return new Map(
    volumes.flatMap((volume): [string, number][] => {
      const size = numberOf(fieldsOf(volume["UsageData"])["Size"]) ?? -1;
      return size < 0 ? [] : [[textOf(volume["Name"]) ?? "", size]];
    }),
  );
}

/** Without the page cache, which the kernel takes back when it needs it. */
async function memoryOf(engine: Engine, id: string): Promise<number | undefined> {
  const path = `/containers/${encodeURIComponent(id)}/stats`;
  const query = { stream: "false", "one-shot": "true" };
  const stats = fieldsOf(fieldsOf((await engine.request(`measure ${id}`, path, { query })).json())["memory_stats"]);
  const details = fieldsOf(stats["stats"]);
  const usage = numberOf(stats["usage"]);
  const cache = numberOf(details["inactive_file"]) ?? numberOf(details["total_inactive_file"]) ?? 0;
  return usage === undefined ? undefined : usage - cache;
}

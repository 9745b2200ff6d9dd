import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { docker } from "./engine.ts";
import { processes } from "./processes.ts";
import { world } from "./world.ts";

/** What is there beside what the harness itself runs. */
async function inventory(): Promise<Set<string>> {
  const lines = async (kind: string, ...args: string[]): Promise<string[]> =>
    (await docker(...args)).split("\n").flatMap((line) => (line === "" ? [] : [`${kind} ${line}`]));
  const folder = join(world().scratch, "tmp");
  const all = await Promise.all([
    lines("container", "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}"),
    lines("volume", "volume", "ls", "-q"),
    lines("network", "network", "ls", "--format", "{{.Name}}"),
  ]);
  const running = processes().map(({ pid, started, command }) => `process ${pid} ${started} ${command}`);
  const files = existsSync(folder) ? readdirSync(folder).map((name) => `file ${name}`) : [];
  return new Set([...all.flat(), ...running, ...files]);
}

export interface Baseline {
  /** What is there now and was not there before; waits a moment for what is just ending. */
  leftovers(): Promise<string[]>;
}

// dockerd's own children come and go by themselves.
const passing = /^process \d+ \d+ (.*containerd-shim|.*docker-proxy|runc |docker (ps|volume|network) )/;

export async function baseline(): Promise<Baseline> {
  const before = await inventory();
  const extra = async (): Promise<string[]> =>
    [...(await inventory())].filter((line) => !before.has(line) && !passing.test(line));
  return {
    leftovers: async () => {
      let found = await extra();
      for (let tries = 0; found.length > 0 && tries < 20; tries += 1) {
        await delay(100);
        found = await extra();
      }
      return found;
    },
  };
}

/** What act's own work folder still holds of the action: files in RUNNER_TEMP. */
export function filesInRunnerTemp(home: string): string[] {
  const cache = join(home, ".cache/act");
  return readdirSync(cache).flatMap((name) => {
    const temp = join(cache, name, "tmp");
    return existsSync(temp) ? readdirSync(temp) : [];
  });
}

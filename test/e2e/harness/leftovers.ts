import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { docker, engineAnswer } from "./engine.ts";
import { processes } from "./processes.ts";
import { world } from "./world.ts";

/** What is there beside what the harness itself runs. */
async function inventory(): Promise<Set<string>> {
  const folder = join(world().scratch, "tmp");
  // Asked before and after every test, so not by the client, which is three processes each time.
  const [containers, { Volumes: volumes }, networks] = await Promise.all([
    engineAnswer<{ Id: string; Names: string[]; State: string }[]>("/containers/json?all=true"),
    engineAnswer<{ Volumes: { Name: string }[] | null }>("/volumes"),
    engineAnswer<{ Name: string }[]>("/networks"),
  ]);
  const all = [
    containers.map(({ Id, Names, State }) => `container ${Id} ${Names.join(",")} ${State}`),
    (volumes ?? []).map(({ Name }) => `volume ${Name}`),
    networks.map(({ Name }) => `network ${Name}`),
  ];
  const running = processes().map(({ pid, started, command }) => `process ${pid} ${started} ${command}`);
  // npm keeps its compiled code there.
  const files = readdirSync(folder).flatMap((name) => (name === "node-compile-cache" ? [] : [`file ${name}`]));
  return new Set([...all.flat(), ...running, ...files]);
}

export interface Baseline {
  /** What is there now and was not there before; waits a moment for what is just ending. */
  leftovers(): Promise<string[]>;
  /** Ends and removes it, so that the next test has the machine for itself. */
  sweep(): Promise<void>;
}

// dockerd's own children come and go by themselves.
const passing = /^process \d+ \d+ (.*containerd-shim|.*docker-proxy|runc )/;

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

async function remove(kind: string, name: string): Promise<void> {
  const how = kind === "container" ? ["rm", "-fv", name] : [kind, "rm", name];
  // A volume may have gone with its container.
  await docker(...how).catch(() => undefined);
}

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
    sweep: async () => {
      for (const line of await extra()) {
        const [kind, name = ""] = line.split(" ");
        if (kind === "process") kill(Number(name));
        else if (kind === "file") rmSync(join(world().scratch, "tmp", name), { recursive: true, force: true });
        else await remove(kind ?? "", name);
      }
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

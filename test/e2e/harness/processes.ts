import { readdirSync, readFileSync } from "node:fs";

export interface Process {
  readonly pid: number;
  /** The argument list, separated by spaces. */
  readonly command: string;
  /** In clock ticks since boot: with the pid it names a process for good. */
  readonly started: string;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** All processes of the sandbox, kernel threads and zombies left out. */
export function processes(): Process[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const command = read(`/proc/${name}/cmdline`);
    const stat = read(`/proc/${name}/stat`);
    if (command === undefined || command === "" || stat === undefined) return [];
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return [{ pid: Number(name), command: command.split("\0").join(" ").trim(), started: fields[19] ?? "" }];
  });
}

/** Collects every argument list that a process of the sandbox shows until `stop`. */
export function watchArguments(): { stop(): string[] } {
  const seen = new Set<string>();
  const look = (): void => {
    for (const { command } of processes()) seen.add(command);
  };
  look();
  const timer = setInterval(look, 15);
  return {
    stop: () => {
      look();
      clearInterval(timer);
      return [...seen];
    },
  };
}

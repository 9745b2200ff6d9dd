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
    return [{ pid: Number(name), command: argumentsIn(command), started: fields[19] ?? "" }];
  });
}

const argumentsIn = (line: string): string => line.split("\0").join(" ").trim();

/** A process changes its arguments soon after it was forked, if ever: later only every so many looks are for it. */
const [YOUNG, SELDOM] = [10, 10];

/** Collects every argument list that a process of the sandbox shows until `stop`. */
export function watchArguments(): { stop(): string[] } {
  const seen = new Set<string>();
  /** How often each was looked at. To read all of them each time would take a fifth of a processor. */
  let ages = new Map<string, number>();
  let looks = 0;
  const look = (): void => {
    const there = new Map<string, number>();
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const age = ages.get(name) ?? 0;
      there.set(name, age + 1);
      if (age >= YOUNG && looks % SELDOM > 0) continue;
      const command = read(`/proc/${name}/cmdline`);
      if (command) seen.add(argumentsIn(command));
    }
    ages = there;
    looks += 1;
  };
  look();
  const timer = setInterval(look, 15);
  return {
    stop: () => {
      looks = 0;
      look();
      clearInterval(timer);
      return [...seen];
    },
  };
}

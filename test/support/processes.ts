import { readdir, readFile } from "node:fs/promises";

export interface ProcessInfo {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
}

/** All processes of this machine that can be read (Linux). */
export async function processes(): Promise<ProcessInfo[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<ProcessInfo | undefined> => {
      try {
        const [argv, env] = await Promise.all([
          readFile(`/proc/${pid}/cmdline`, "utf8"),
          readFile(`/proc/${pid}/environ`, "utf8"),
        ]);
        if (argv === "") return undefined;
        const pairs = env.split("\0").map((pair): [string, string] => {
          const at = pair.indexOf("=");
          return [pair.slice(0, at), pair.slice(at + 1)];
        });
        return { pid: Number(pid), argv: argv.split("\0"), env: new Map(pairs) };
      } catch {
        return undefined; // It ended meanwhile.
      }
    }),
  );
  return found.filter((info) => info !== undefined);
}

/** Processes that a job's backend is: they carry the job's folder in their environment or arguments. */
export async function processesOf(directory: string): Promise<ProcessInfo[]> {
  const all = await processes();
  return all.filter(
    ({ pid, argv, env }) =>
      pid !== process.pid &&
      (argv.some((word) => word.includes(directory)) || (env.get("TMPDIR") ?? "").startsWith(directory)),
  );
}

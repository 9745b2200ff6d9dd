import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Job } from "../test/support/job.ts";

/** Bytes of all scripts of a bundle. */
export async function bundleBytes(folder: string): Promise<number> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".js"));
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Milliseconds from the spawn of the start until its first line that a reader sees: commands of masks are none. */
export async function firstLine(job: Job, inputs: Readonly<Record<string, string>>): Promise<number> {
  const started = performance.now();
  let first = Number.NaN;
  const onLine = (line: string): void => {
    if (Number.isNaN(first) && !/^::(add-mask|debug|save-state|set-output)/.test(line))
      first = performance.now() - started;
  };
  await job.action("start", { inputs, onLine });
  return first;
}

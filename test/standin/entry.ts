/**
 * Where worker threads and child processes of the stand-in start: at their own source file, or, in the bundle, at the
 * one file there is, whose main looks at `workerData.standinRole` or STANDIN_ROLE (see main.ts).
 */

/** For `new Worker(threadEntry(import.meta.url, "./x.ts"), { workerData: { standinRole: "x" } })`. */
export function threadEntry(moduleUrl: string, source: string): URL {
  return isBundled(moduleUrl) ? new URL(moduleUrl) : new URL(source, moduleUrl);
}

/** The same for `spawn(process.execPath, [fileURLToPath(childEntry(…))], { env: { STANDIN_ROLE: "x" } })`. */
export const childEntry = threadEntry;

export function isBundled(moduleUrl: string): boolean {
  return !moduleUrl.endsWith(".ts");
}

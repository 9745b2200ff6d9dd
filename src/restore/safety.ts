import type { Run } from "./run.ts";
export async function keepPresent(_run: Run, _directory: string): Promise<void> {}

/** Everything that is attached to a backend before it listens. */
import type { Backend } from "./backend.ts";

export async function attachParts(_backend: Backend): Promise<void> {}

/**
 * Runs inside of a job's container, with the engine's socket and no docker client: starts a backend on the job's
 * network, reaches it, ends it. Prints one line of JSON for the test. Argument: options.
 */

import type { BackendState } from "../../../src/backend/backend.ts";
import { adoptContainer } from "../../../src/backend/docker/adopt.ts";
import { startContainer } from "../../../src/backend/docker/container.ts";
import { connectEngine } from "../../../src/backend/docker/engine.ts";
import { ensureImage } from "../../../src/backend/docker/image.ts";
import { probeOrigins } from "../../../src/backend/docker/probe.ts";
import { stopContainer } from "../../../src/backend/docker/teardown.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { ready, realDeps, specOf } from "./support.ts";

export interface InJob {
  readonly reference: string;
  readonly network?: string;
  readonly data?: string;
  /** Takes this service over instead. */
  readonly service?: string;
}

async function run({ reference, network, data, service }: InJob): Promise<unknown> {
  const deps = realDeps();
  const engine = await connectEngine(deps);
  const joined = network === undefined ? {} : { network };
  if (service !== undefined) {
    const { backend, findings } = await adoptContainer(engine, service, joined, deps);
    await ready(backend);
    backend.detach();
    return { url: backend.url, findings };
  }
  const image = await ensureImage(engine, { reference }, "never", deps);
  let state: BackendState | undefined;
  const spec = specOf({ port: 0, sitePort: 0, ...(data === undefined ? {} : { data }) });
  const backend = await startContainer(
    engine,
    spec,
    { image, owner: "convex-in-job", ...joined },
    (saved) => (state = saved),
    deps,
  );
  await ready(backend);
  const { url, siteUrl, cloudOrigin, siteOrigin, containerId = "" } = backend;
  const problems = await probeOrigins(engine, containerId, { cloudOrigin, siteOrigin, instanceName: "chat" });
  const steps = state?.runtime === "docker" ? await stopContainer(state, deps) : [];
  return {
    url,
    siteUrl,
    cloudOrigin,
    siteOrigin,
    problems,
    errors: steps.flatMap(({ error }) => (error ? [String(error)] : [])),
  };
}

const options = JSON.parse(process.argv[2] ?? "{}") as InJob;
const result = await run(options).catch((error: unknown) =>
  error instanceof ActionError ? { code: error.code, message: error.message } : { crash: String(error) },
);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);

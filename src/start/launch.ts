import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import type { BackendSpec, BackendState, RunningBackend, SaveState } from "../backend/backend.ts";
import { startBinary } from "../backend/binary.ts";
import { resolveBinary } from "../backend/binary-catalogue.ts";
import { type ImageChoice, resolveImage } from "../backend/catalogue.ts";
import { adoptContainer } from "../backend/docker/adopt.ts";
import { startContainer } from "../backend/docker/container.ts";
import { canRunLinux, connectEngine, type Engine } from "../backend/docker/engine.ts";
import { ensureImage } from "../backend/docker/image.ts";
import { checkBinaryPath, obtainBinary } from "../backend/download.ts";
import { ActionError } from "../runner/errors.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { readyBuckets, whileChecking } from "./buckets.ts";
import { readyDatabase } from "./database.ts";
import type { StartInputs } from "./inputs.ts";
import type { Prepared } from "./prepare.ts";

/** A backend that was started or adopted, with what is known of it. */
export interface Launched {
  readonly backend: RunningBackend;
  readonly runtime: "docker" | "binary" | "service-container";
  /** Absent for a service container that does not show it; `key` tells both then. */
  readonly instanceName?: string;
  readonly instanceSecret?: string;
  /** The container's own script, where the secret is not known; to be asked once the backend answers. */
  readonly key?: () => Promise<{ readonly adminKey: string; readonly instanceName: string }>;
  /** Release or commit, as far as it is known. */
  readonly version?: string;
  readonly byDefault: boolean;
  /** Origins of a service container that do not fit, with the lines that mend them. */
  readonly origins?: string;
  /** The engine that runs its container. */
  readonly engine?: Engine;
  /** How people find it: `container convex-…`, `process 4711`. */
  readonly where: string;
}

/** Which runtime `auto` means on this machine. */
export async function chooseRuntime(
  inputs: StartInputs,
  deps: Deps,
): Promise<"docker" | "binary" | "service-container"> {
  if (inputs.serviceContainer !== undefined) return "service-container";
  if (inputs.runtime !== "auto") return inputs.runtime;
  if (inputs.binaryPath !== undefined) return "binary";
  return (await canRunLinux(deps)) ? "docker" : "binary";
}

function specOf(prepared: Prepared): BackendSpec {
  const { inputs, instanceSecret, backendEnv } = prepared;
  return {
    instanceName: inputs.instanceName,
    instanceSecret,
    bind: inputs.bind,
    port: inputs.port,
    sitePort: inputs.sitePort,
    backendEnv,
    ...(inputs.cloudOrigin === undefined ? {} : { cloudOrigin: inputs.cloudOrigin }),
    ...(inputs.siteOrigin === undefined ? {} : { siteOrigin: inputs.siteOrigin }),
    ...(inputs.postgresUrl === undefined ? {} : { postgresUrl: inputs.postgresUrl }),
    ...(inputs.mysqlUrl === undefined ? {} : { mysqlUrl: inputs.mysqlUrl }),
    ...(inputs.data === undefined ? {} : { data: inputs.data }),
  };
}

function chooseImage(inputs: StartInputs, deps: Deps): ImageChoice {
  const choice = resolveImage({
    version: inputs.version,
    image: inputs.image,
    requireDigest: inputs.requireDigest,
  });
  for (const warning of choice.warnings) deps.log.warning(warning);
  return choice;
}

/** Unique a step: names the container, and marks the process. */
export function newOwner(): string {
  return `convex-${randomBytes(5).toString("hex")}`;
}

/** The check of the buckets, where there are any: beside the pull, and over before the backend starts. */
function bucketCheck(
  { s3, inputs }: Prepared,
  runtime: "docker" | "binary",
  timeline: Timeline,
  deps: Deps,
): ((signal: AbortSignal) => Promise<void>) | undefined {
  if (s3 === undefined) return undefined;
  return (signal) => timeline.phase("buckets", () => readyBuckets(s3, inputs.instanceName, runtime, signal, deps));
}

async function launchContainer(
  prepared: Prepared,
  owner: string,
  save: SaveState,
  timeline: Timeline,
  deps: Deps,
): Promise<Launched> {
  const { inputs } = prepared;
  const choice = chooseImage(inputs, deps);
  const engine = await connectEngine(deps);
  const image = await whileChecking(bucketCheck(prepared, "docker", timeline, deps), () =>
    timeline.phase("image", () => ensureImage(engine, choice, inputs.pull, deps)),
  );
  const backend = await timeline.phase("boot", () =>
    startContainer(
      engine,
      specOf(prepared),
      { image, owner, ...(inputs.network === undefined ? {} : { network: inputs.network }) },
      save,
      deps,
    ),
  );
  const version = choice.release ?? choice.commit ?? image.revision;
  return {
    backend,
    runtime: "docker",
    instanceName: inputs.instanceName,
    instanceSecret: prepared.instanceSecret,
    byDefault: choice.byDefault,
    engine,
    where: `container ${owner}`,
    ...(version === undefined ? {} : { version }),
  };
}

async function launchBinary(
  prepared: Prepared,
  owner: string,
  save: SaveState,
  timeline: Timeline,
  deps: Deps,
): Promise<Launched> {
  const { inputs, workspace } = prepared;
  let byDefault = false;
  const obtain = async () => {
    if (inputs.binaryPath !== undefined) return await checkBinaryPath(resolve(workspace, inputs.binaryPath), deps);
    const choice = resolveBinary({ version: inputs.version, platform: deps.platform, arch: deps.arch });
    for (const warning of choice.warnings) deps.log.warning(warning);
    byDefault = choice.byDefault;
    return await obtainBinary(choice, { releasesUrl: inputs.releasesUrl, releasesToken: inputs.releasesToken }, deps);
  };
  const executable = await whileChecking(bucketCheck(prepared, "binary", timeline, deps), () =>
    timeline.phase("binary", obtain),
  );
  const temp = tempOf(deps);
  const spec = specOf(prepared);
  const backend = await timeline.phase("boot", () =>
    startBinary(
      spec.data === undefined ? spec : { ...spec, data: resolve(workspace, spec.data) },
      { executable: executable.path, owner, temp },
      save,
      deps,
    ),
  );
  return {
    backend,
    runtime: "binary",
    instanceName: inputs.instanceName,
    instanceSecret: prepared.instanceSecret,
    byDefault,
    where: `process ${backend.pid}`,
    ...(executable.release === undefined ? {} : { version: executable.release }),
  };
}

async function adopt(prepared: Prepared, save: SaveState, timeline: Timeline, deps: Deps): Promise<Launched> {
  const { inputs } = prepared;
  const id = inputs.serviceContainer ?? "";
  const pinned = inputs.version !== undefined || inputs.image.includes("@");
  const choice = pinned ? chooseImage(inputs, deps) : undefined;
  const engine = await connectEngine(deps);
  save({ runtime: "service-container", engine: engine.address, container: id });
  const wish = {
    ...(choice === undefined ? {} : { choice }),
    ...(inputs.network === undefined ? {} : { network: inputs.network }),
  };
  const adopted = await timeline.phase("adopt", () => adoptContainer(engine, id, wish, deps));
  const version = choice?.release ?? choice?.commit ?? adopted.backend.revision;
  const origins = adopted.findings.map(
    ({ what, lines }) => `${what} Add under env: of the service:\n${lines.join("\n")}`,
  );
  return {
    backend: adopted.backend,
    runtime: "service-container",
    byDefault: false,
    engine,
    where: `service container ${id.slice(0, 12)}`,
    ...(adopted.instanceName === undefined ? {} : { instanceName: adopted.instanceName }),
    ...(adopted.instanceSecret === undefined ? { key: adopted.key } : { instanceSecret: adopted.instanceSecret }),
    ...(origins.length === 0 ? {} : { origins: origins.join("\n") }),
    ...(version === undefined ? {} : { version }),
  };
}

/** Starts or adopts the backend; returns as soon as it runs, ready or not. `save` is called before anything exists. */
export async function launch(
  prepared: Prepared,
  save: (state: BackendState) => void,
  timeline: Timeline,
  deps: Deps,
): Promise<Launched> {
  const runtime = await chooseRuntime(prepared.inputs, deps);
  if (runtime === "binary" && prepared.inputs.dashboard) {
    throw new ActionError(
      "input-conflict",
      "dashboard is true, but this machine has no Docker engine, so runtime: auto took the binary.",
      "Leave dashboard out, or use a runner with Docker.",
    );
  }
  if (runtime === "service-container") return await adopt(prepared, save, timeline, deps);
  const { database, inputs, backendEnv } = prepared;
  if (database !== undefined) {
    await timeline.phase("database", () => readyDatabase(database, inputs, runtime, backendEnv, deps));
  }
  const owner = newOwner();
  return runtime === "docker"
    ? await launchContainer(prepared, owner, save, timeline, deps)
    : await launchBinary(prepared, owner, save, timeline, deps);
}

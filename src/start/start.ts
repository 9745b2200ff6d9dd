import { tmpdir } from "node:os";
import type { BackendState } from "../backend/backend.ts";
import { endLeftover, findLeftovers as findProcesses } from "../backend/binary-leftovers.ts";
import { bootFailure, READ_LINES } from "../backend/boot-failure.ts";
import { resolveImage } from "../backend/catalogue.ts";
import { startDashboard } from "../backend/docker/dashboard.ts";
import { connectEngine } from "../backend/docker/engine.ts";
import { ensureImage } from "../backend/docker/image.ts";
import { findLeftovers as findContainers, reclaim as reclaimContainers } from "../backend/docker/leftovers.ts";
import { probeOrigins } from "../backend/docker/probe.ts";
import { waitUntilReady } from "../backend/readiness.ts";
import { issueAdminKey } from "../credentials/admin-key.ts";
import type { AuthKeys } from "../credentials/auth-keys.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { PushError } from "../deployment/push.ts";
import { annotateErrors } from "../runner/annotations.ts";
import { ActionError } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { exportToJob, setOutput, setSecretOutput } from "../runner/outputs.ts";
import { seconds, writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import { checkOrigins, deployAndSeed, pushVariables } from "./deploy.ts";
import { jobVariables, warnOfOverwritten } from "./exports.ts";
import { readStartInputs, type StartInputs } from "./inputs.ts";
import { type Launched, launch } from "./launch.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { checkStartInputs } from "./rules.ts";
import { startState } from "./state.ts";
import { failureSummary, type StartReport, startSummary } from "./summary.ts";
import { reportTeardown, teardown } from "./teardown.ts";

/** A backend that answers, with the key that it accepts. */
interface Usable {
  readonly launched: Launched;
  readonly adminKey: string;
  readonly instanceName: string;
  readonly client: DeploymentClient;
}

interface Run {
  readonly prepared: Prepared;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<StartReport>) => void;
  readonly save: (state: BackendState) => void;
  /** The state saved last. */
  readonly saved: () => BackendState | undefined;
  readonly deps: Deps;
}

function tempOf(deps: Deps): string {
  return deps.env["RUNNER_TEMP"] ?? tmpdir();
}

/** Leftovers of dead runs hold ports and memory on self-hosted machines; a hosted runner has none. */
async function handleLeftovers(prepared: Prepared, deps: Deps): Promise<void> {
  if (deps.env["RUNNER_ENVIRONMENT"] === "github-hosted") return;
  const { reclaim, runtime, serviceContainer } = prepared.inputs;
  const found: string[] = [];
  for (const leftover of await findProcesses(deps)) {
    if (reclaim) await endLeftover(leftover, deps);
    found.push(leftover.what);
  }
  if (runtime === "docker" || serviceContainer !== undefined) {
    const engine = await connectEngine(deps);
    const leftovers = await findContainers(engine, deps);
    if (reclaim) reportTeardown(await reclaimContainers(engine, leftovers, deps), deps);
    found.push(...leftovers.map(({ what }) => what));
  }
  if (found.length === 0) return;
  const list = found.join("; ");
  if (reclaim) deps.log.notice(`Removed what dead runs left on this machine: ${list}.`);
  else deps.log.warning(`Dead runs left something on this machine: ${list}. Set reclaim: true to remove it.`);
}

function maskKey(adminKey: string, deps: Deps): string {
  deps.log.mask(adminKey);
  const [, encrypted] = adminKey.split("|");
  if (encrypted !== undefined) deps.log.mask(encrypted);
  return adminKey;
}

async function bringUp(run: Run): Promise<Usable> {
  const { prepared, timeline, deps, tell } = run;
  const { inputs, instanceSecret } = prepared;
  const launched = await launch(prepared, run.save, timeline, deps);
  const secret = launched.instanceSecret;
  if (secret !== undefined) deps.log.mask(secret);
  const issue = (format: "current" | "legacy"): string =>
    maskKey(
      issueAdminKey({
        instanceName: launched.instanceName ?? inputs.instanceName,
        instanceSecret: secret ?? instanceSecret,
        format,
      }),
      deps,
    );
  const { key } = launched;
  const credentials =
    key === undefined
      ? {
          instanceName: launched.instanceName ?? inputs.instanceName,
          adminKey: issue("current"),
          legacyKey: () => issue("legacy"),
        }
      : {
          key: async () => {
            const own = await key();
            maskKey(own.adminKey, deps);
            return own;
          },
        };
  const ready = await timeline.phase("ready", () =>
    waitUntilReady(
      launched.backend,
      { ...credentials, timeoutMs: inputs.readyTimeoutMs, secrets: secret === undefined ? [] : [secret] },
      deps,
    ),
  );
  if (ready.legacy) {
    deps.log.notice("The backend takes only admin keys of the legacy format: it is older than 2025-05-30.");
  }
  const { url, siteUrl } = launched.backend;
  tell({ url, siteUrl, readyMs: deps.clock.now() - timeline.start });
  const client = new DeploymentClient({
    url,
    adminKey: ready.adminKey,
    http: deps.http,
    clock: deps.clock,
    log: deps.log,
  });
  return { launched, adminKey: ready.adminKey, instanceName: ready.instanceName, client };
}

function describeBackend({ launched }: Usable): Partial<StartReport> {
  const { backend, runtime, version, byDefault, where } = launched;
  const pinned = byDefault ? " (pinned by this action)" : "";
  return {
    runtime: `${runtime} · ${where}`,
    release: `${version ?? "unknown"}${pinned}`,
    ...(backend.imageDigest === undefined ? {} : { imageDigest: backend.imageDigest }),
    ...(backend.revision === undefined ? {} : { revision: backend.revision }),
  };
}

function setOutputs(usable: Usable, run: Run): void {
  const { launched, adminKey, instanceName } = usable;
  const { backend } = launched;
  const directory = tempOf(run.deps);
  const plain: Record<string, string | undefined> = {
    url: backend.url,
    "site-url": backend.siteUrl,
    "instance-name": instanceName,
    version: launched.version ?? "unknown",
    "image-digest": backend.imageDigest,
    "container-id": backend.containerId,
    pid: backend.pid === undefined ? undefined : String(backend.pid),
    "ready-ms": String(run.deps.clock.now() - run.timeline.start),
  };
  for (const [name, value] of Object.entries(plain)) if (value !== undefined) setOutput(name, value, directory);
  setSecretOutput("admin-key", adminKey);
  if (launched.instanceSecret !== undefined) setSecretOutput("instance-secret", launched.instanceSecret);
}

/** Sets the variables of the later steps; returns the names for the summary. */
function exportVariables(usable: Usable, run: Run): string[] {
  const { inputs } = run.prepared;
  if (!inputs.exportEnv) return [];
  const exports = {
    url: usable.launched.backend.url,
    siteUrl: usable.launched.backend.siteUrl,
    adminKey: usable.adminKey,
    urlVariables: inputs.urlVariables,
  };
  warnOfOverwritten(run.deps.env, exports, run.deps.log);
  const variables = jobVariables(exports);
  for (const [name, value] of variables) exportToJob(name, value);
  return [...variables].filter(([, value]) => value !== "").map(([name]) => name);
}

/** Starts the dashboard beside the deploy; its URL goes to the summary and the outputs. */
async function addDashboard(usable: Usable, run: Run): Promise<void> {
  const { prepared, timeline, deps } = run;
  const { dashboard, dashboardImage } = prepared.inputs;
  const { engine, backend } = usable.launched;
  const state = run.saved();
  if (!dashboard || engine === undefined || state?.runtime !== "docker") return;
  await timeline.phase("dashboard", async () => {
    const choice = resolveImage({ image: dashboardImage });
    const image = await ensureImage(engine, choice, prepared.inputs.pull, deps);
    const { url } = await startDashboard(engine, { image, cloudOrigin: backend.cloudOrigin, state }, run.save, deps);
    run.tell({ dashboardUrl: url });
    setOutput("dashboard-url", url, tempOf(deps));
  });
}

/** Node actions, files and sign-in use the origins from inside the container: asked there, not guessed (contract 8.3). */
async function probe(usable: Usable, run: Run): Promise<void> {
  const { engine, backend } = usable.launched;
  if (engine === undefined || backend.containerId === undefined) return;
  const { cloudOrigin, siteOrigin } = backend;
  const origins = { cloudOrigin, siteOrigin, instanceName: usable.instanceName };
  for (const { what } of await probeOrigins(engine, backend.containerId, origins)) run.deps.log.warning(what);
}

/** A backend that ends under our hands (full disk, lost database) first fails the call that is under way. */
const ENDING_MS = 300;

/** The error that explains more: why the backend ended, where it did, with what failed as its cause. */
async function insteadOf(error: unknown, { launched, adminKey }: Usable, run: Run): Promise<unknown> {
  const { backend, instanceSecret } = launched;
  const { clock, log } = run.deps;
  const ended = await Promise.race([backend.ended, clock.sleep(ENDING_MS)]);
  if (ended === undefined) return error;
  const lines = await backend.logs(READ_LINES).catch(() => []);
  const secrets = instanceSecret === undefined ? [adminKey] : [adminKey, instanceSecret];
  const failure = bootFailure(ended, lines, { afterMs: clock.now() - run.timeline.start, secrets }, log);
  failure.cause = error;
  return failure;
}

/** Tells the job of the backend, then variables, deploy and seed; the backend stays up whatever fails here. */
async function makeUsable(usable: Usable, keysMade: Promise<AuthKeys> | undefined, run: Run): Promise<void> {
  const { prepared, timeline, tell, deps } = run;
  const { inputs } = prepared;
  const { launched, client } = usable;
  deps.log.info(`The backend answers at ${launched.backend.url} after ${seconds(deps.clock.now() - timeline.start)}.`);
  tell(describeBackend(usable));
  setOutputs(usable, run);
  checkOrigins(prepared, launched, deps);
  tell({ exported: exportVariables(usable, run) });

  const keys = keysMade === undefined ? undefined : await keysMade;
  if (keys !== undefined) {
    setSecretOutput("jwt-private-key", keys.jwtPrivateKey);
    setOutput("jwks", keys.jwks, tempOf(deps));
  }
  tell({ variables: await timeline.phase("env", () => pushVariables(prepared, launched, keys, client, deps)) });
  if (inputs.paused) {
    await timeline.phase("pause", () => client.pause());
    tell({ paused: true });
  }
  const dashboard = addDashboard(usable, run);
  dashboard.catch(() => undefined);
  // What is only told must neither fail the step nor delay it.
  const advice = Promise.allSettled([probe(usable, run), inputs.reclaim ? undefined : handleLeftovers(prepared, deps)]);
  await deployAndSeed(prepared, launched, { adminKey: usable.adminKey, client, keys }, timeline, tell, deps);
  await dashboard;
  for (const outcome of await advice) {
    if (outcome.status === "rejected") deps.log.debug(String(outcome.reason));
  }
}

async function startAndDeploy(run: Run): Promise<void> {
  const { prepared, timeline, deps } = run;
  const { inputs } = prepared;
  if (inputs.reclaim) await handleLeftovers(prepared, deps);
  const keysMade =
    prepared.authKeys === undefined ? undefined : timeline.phase("keys", () => prepared.authKeys ?? Promise.reject());
  keysMade?.catch(() => undefined);

  let usable: Usable;
  try {
    usable = await bringUp(run);
  } catch (error) {
    const state = run.saved();
    if (state !== undefined) reportTeardown(await teardown(state, deps), deps);
    throw error;
  }
  try {
    await makeUsable(usable, keysMade, run);
  } catch (error) {
    throw await insteadOf(error, usable, run);
  } finally {
    // Otherwise this process would wait for the backend to end.
    usable.launched.backend.detach();
  }
}

/** What a reader of the summary may want to do now. */
function nextSteps(inputs: StartInputs, report: StartReport): string[] {
  const steps: string[] = [];
  if (inputs.paused) steps.push("The deployment is paused: restore or check it, then unpause it before functions run.");
  if (!inputs.deploy)
    steps.push("Nothing was deployed: a later step can run `npx convex deploy`, which finds the backend.");
  if (!inputs.exportEnv) steps.push("Nothing was exported: later steps use this step's outputs `url` and `admin-key`.");
  if (report.release?.includes("pinned by this action") === true) {
    steps.push("The release changes with this action's version; set `version` to keep it.");
  }
  return steps;
}

/**
 * The main step of the root action: checks everything, starts a backend, makes it usable, deploys and seeds.
 * @param startedAt when the step began, milliseconds since the epoch
 */
export async function start(read: ReadInput, deps: Deps, startedAt: number): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let report: StartReport = {};
  let saved: BackendState | undefined;
  try {
    const inputs = readStartInputs(read);
    checkStartInputs(inputs);
    const prepared = await prepare(inputs, deps);
    const save = (backend: BackendState): void => {
      saved = backend;
      startState.save({ backend, logs: inputs.logs, succeeded: false });
    };
    const tell = (facts: Partial<StartReport>): void => {
      report = { ...report, ...facts };
    };
    await startAndDeploy({ prepared, timeline, tell, save, saved: () => saved, deps });
    setOutput("timings", timeline.json(), tempOf(deps));
    if (saved !== undefined) startState.save({ backend: saved, logs: inputs.logs, succeeded: true });
    await writeSummary(startSummary({ ...report, next: nextSteps(inputs, report) }, timeline));
  } catch (error) {
    const findings = error instanceof PushError ? error.annotations : [];
    annotateErrors(findings);
    if (error instanceof ActionError) await writeSummary(failureSummary(error, report, timeline, findings));
    throw error;
  }
}

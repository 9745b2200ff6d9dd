import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BackendSpec, BackendState, RunningBackend } from "../../../src/backend/backend.ts";
import { startContainer } from "../../../src/backend/docker/container.ts";
import { connectEngine, type Engine } from "../../../src/backend/docker/engine.ts";
import { ensureImage } from "../../../src/backend/docker/image.ts";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { docker } from "../harness/engine.ts";
import { world } from "../harness/world.ts";

export interface RealDeps extends Deps {
  readonly lines: string[];
  readonly slept: number[];
}

/** The real machine; `jumps`: waits between tries are noted instead of waited. */
export function realDeps(env: Readonly<Record<string, string>> = {}, jumps = false): RealDeps {
  const [lines, slept]: [string[], number[]] = [[], []];
  const tell = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return {
    lines,
    slept,
    exec: systemExec,
    http: systemHttp,
    clock: jumps ? { now: systemClock.now, sleep: async (ms) => void slept.push(ms) } : systemClock,
    env: { ...process.env, ...env },
    platform: process.platform,
    arch: process.arch,
    log: {
      debug: tell("debug"),
      info: tell("info"),
      notice: tell("notice"),
      warning: tell("warning"),
      group: (_title, work) => work(),
      foreign: (foreign) => foreign.forEach(tell("foreign")),
      mask: () => undefined,
    },
  };
}

/** A folder below the scratch folder, which the harness removes. */
export function folder(): string {
  return mkdtempSync(join(world().scratch, "docker-"));
}

/** What `docker login` leaves behind. */
export function loginFor(registry: string, user: string, password: string): { DOCKER_CONFIG: string } {
  const at = folder();
  const auth = Buffer.from(`${user}:${password}`).toString("base64");
  writeFileSync(join(at, "config.json"), JSON.stringify({ auths: { [registry]: { auth } } }));
  return { DOCKER_CONFIG: at };
}

/** Forgets every image but the base of the harness. */
export async function forgetImages(): Promise<void> {
  const keep = await docker("images", "-q", "--no-trunc", world().image.base);
  const all = (await docker("images", "-aq", "--no-trunc")).split("\n");
  for (const id of new Set(all)) if (id !== "" && id !== keep) await docker("rmi", "-f", id).catch(() => "");
}

export const secret = "5e".repeat(32);

export function specOf(given: Partial<BackendSpec> = {}): BackendSpec {
  return {
    instanceName: "chat",
    instanceSecret: secret,
    bind: "127.0.0.1",
    port: 3210,
    sitePort: 3211,
    backendEnv: {},
    ...given,
  };
}

export interface Started {
  readonly backend: RunningBackend;
  readonly state: Extract<BackendState, { runtime: "docker" }>;
  readonly engine: Engine;
  readonly deps: RealDeps;
}

let count = 0;

/** Starts the stand-in as the action does; the state is handed out even when the start fails. */
export async function start(
  given: Partial<BackendSpec>,
  env: Readonly<Record<string, string>> = {},
  onState: (state: Started["state"]) => void = () => undefined,
): Promise<Started> {
  const deps = realDeps(env);
  const engine = await connectEngine(deps);
  const { repository, commit, digest } = world().image;
  const image = await ensureImage(engine, { reference: `${repository}@${digest}`, digest, commit }, "missing", deps);
  let state: BackendState | undefined;
  const save = (saved: BackendState): void => {
    state = saved;
    if (saved.runtime === "docker") onState(saved);
  };
  const owner = `convex-e2e-${process.pid}-${count++}`;
  const backend = await startContainer(engine, specOf(given), { image, owner }, save, deps);
  if (state?.runtime !== "docker") throw new Error("no state was saved");
  return { backend, state, engine, deps };
}

/** Resolves once it answers under its own name and takes its key; throws when it ended or 20 s are over. */
export async function ready(
  backend: RunningBackend,
  name = "chat",
  key = issueAdminKey({ instanceName: name, instanceSecret: secret }),
): Promise<void> {
  const until = Date.now() + 20_000;
  let last = "";
  let over = false;
  backend.ended.then(() => {
    over = true;
  });
  while (Date.now() < until && !over) {
    try {
      const answers = await Promise.all([
        systemHttp.request(`${backend.url}/instance_name`),
        systemHttp.request(`${backend.url}/api/check_admin_key`, { headers: { authorization: `Convex ${key}` } }),
        systemHttp.request(`${backend.siteUrl}/version`),
      ]);
      last = answers.map(({ status, body }) => `${status} ${String(body)}`).join(", ");
      if (answers[0].text() === name && answers.every(({ status }) => status === 200)) return;
    } catch (error) {
      last = String(error);
    }
    await systemClock.sleep(20);
  }
  throw new Error(`not ready: ${last}\n${(await backend.logs(50)).join("\n")}`);
}

/**
 * `node bench/preview.ts [runs]`: previews on a second engine behind SSH, beside the same docker commands by hand over one
 * multiplexed connection. Medians, taken in turns, with the stand-in backend.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join } from "node:path";
import { makeProject } from "../test/e2e/harness/act.ts";
import { until } from "../test/e2e/harness/daemon.ts";
import { session } from "../test/e2e/harness/session.ts";
import { root } from "../test/e2e/harness/tools.ts";
import type { World } from "../test/e2e/harness/world.ts";
import {
  commitOf,
  domain,
  PREVIEW_SECRET,
  type PreviewHost,
  pullRequestEvent,
  startHost,
} from "../test/e2e/preview/world.ts";
import { Job } from "../test/support/job.ts";
import { run, Series, timed } from "./measure.ts";
import { table } from "./table.ts";

const [FIRST, UNCHANGED, BY_HAND] = [1, 2, 3];

function note(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One connection that forwards the engine's socket, as a person would open it. */
async function connect(host: PreviewHost, folder: string): Promise<{ socket: string; end(): Promise<void> }> {
  const socket = join(folder, "engine");
  const [key, known] = [join(folder, "key"), join(folder, "known")];
  writeFileSync(key, host.remote.key, { mode: 0o600 });
  writeFileSync(known, host.remote.knownHosts);
  const args = ["-F", "none", "-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${known}`, "-i", key];
  const target = host.remote.host.slice("ssh://".length);
  const child: ChildProcess = spawn("ssh", [...args, "-N", "-L", `${socket}:/var/run/docker.sock`, target], {
    stdio: "ignore",
  });
  await until("ssh has connected", async () => await answers(["--unix-socket", socket, "http://engine/_ping"]));
  return {
    socket,
    end: () =>
      new Promise((done) => {
        child.on("close", () => done());
        child.kill();
      }),
  };
}

async function answers(args: readonly string[]): Promise<boolean> {
  return await run("curl", ["-sf", "-o", "/dev/null", "--max-time", "5", ...args]).then(
    () => true,
    () => false,
  );
}

/** What an `up` comes down to, in docker commands. */
async function byHand(host: PreviewHost, world: World): Promise<void> {
  const folder = mkdtempSync(join(world.scratch, "hand-"));
  const { socket, end } = await connect(host, folder);
  const docker = (...args: string[]): Promise<string> => run("docker", ["-H", `unix://${socket}`, ...args]);
  const [cloud, site] = [`pr-${BY_HAND}.${domain}`, `pr-${BY_HAND}-site.${domain}`];
  const image = `${world.image.repository}@${world.image.digest}`;
  const labels = [
    "traefik.enable=true",
    "traefik.docker.network=proxy",
    `traefik.http.routers.a.rule=Host(\`${cloud}\`)`,
    "traefik.http.routers.a.service=a",
    "traefik.http.routers.a.tls=true",
    "traefik.http.services.a.loadbalancer.server.port=3210",
    `traefik.http.routers.b.rule=Host(\`${site}\`)`,
    "traefik.http.routers.b.service=b",
    "traefik.http.routers.b.tls=true",
    "traefik.http.services.b.loadbalancer.server.port=3211",
  ];
  const variables = {
    INSTANCE_NAME: "by-hand",
    INSTANCE_SECRET: "5e".repeat(32),
    CONVEX_CLOUD_ORIGIN: `https://${cloud}`,
    CONVEX_SITE_ORIGIN: `https://${site}`,
    DISABLE_BEACON: "true",
  };
  await docker("image", "inspect", image);
  await docker("volume", "create", "by-hand");
  await docker(
    ...["run", "-d", "--name", "by-hand", "--network", "proxy", "--restart", "unless-stopped", "--memory", "512m"],
    ...["-v", "by-hand:/convex/data", ...labels.flatMap((label) => ["--label", label])],
    ...Object.entries(variables).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
    image,
  );
  for (const name of [cloud, site]) {
    await until(`${name} answers`, () => answers(["--cacert", host.proxy.caFile, `https://${name}/version`]), 60_000);
  }
  await docker("volume", "create", "by-hand-marker");
  await end();
}

async function ours(
  host: PreviewHost,
  world: World,
  project: string,
  number: number,
  command: "up" | "down",
  deploy: boolean,
): Promise<number> {
  const job = await Job.create(project);
  const event = join(job.directory, "event.json");
  writeFileSync(event, JSON.stringify(pullRequestEvent(host, number, "synchronize").payload));
  const inputs = {
    command,
    host: host.remote.host,
    "ssh-key": host.remote.key,
    "known-hosts": host.remote.knownHosts,
    domain: `{name}.${domain}`,
    "proxy-network": "proxy",
    "preview-secret": PREVIEW_SECRET,
    image: world.image.repository,
    version: world.image.digest,
    memory: "512m",
    deploy: String(deploy),
    comment: "false",
    "github-environment": "none",
  };
  const env = {
    GITHUB_REPOSITORY: "acme/app",
    GITHUB_EVENT_NAME: "pull_request",
    GITHUB_EVENT_PATH: event,
    NODE_EXTRA_CA_CERTS: host.proxy.caFile,
  };
  const ms = await timed(async () => {
    const main = await job.action("preview", { inputs, env });
    if (main.exitCode !== 0) throw new Error(main.log);
  });
  await job.remove();
  return ms;
}

async function turn(series: Series, host: PreviewHost, world: World, project: string): Promise<void> {
  const folder = mkdtempSync(join(world.scratch, "ssh-"));
  let opened: Awaited<ReturnType<typeof connect>> | undefined;
  series.add(
    "ssh",
    await timed(async () => {
      opened = await connect(host, folder);
    }),
  );
  await opened?.end();
  series.add("by hand", await timed(() => byHand(host, world)));
  await host.remote.docker("rm", "-fv", "by-hand");
  await host.remote.docker("volume", "rm", "by-hand", "by-hand-marker");
  series.add("first", await ours(host, world, project, FIRST, "up", false));
  await ours(host, world, project, FIRST, "down", false);
  series.add("unchanged", await ours(host, world, project, UNCHANGED, "up", true));
}

await session(import.meta.filename, async (world, args) => {
  const runs = Number(args[0] ?? 5);
  process.env["E2E_WORLD"] = JSON.stringify(world);
  process.env["TMPDIR"] = join(world.scratch, "tmp");
  process.env["PATH"] = `${world.bin}:${process.env["PATH"]}`;
  const project = await makeProject();
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  const host = await startHost([FIRST, UNCHANGED, BY_HAND]);
  for (const number of [FIRST, UNCHANGED]) host.github.state.open(number, { commit: commitOf(number) });
  await ours(host, world, project, UNCHANGED, "up", true);
  const series = new Series();
  for (let count = 1; count <= runs; count += 1) {
    await turn(series, host, world, project);
    note(`previews: ${count} of ${runs}`);
  }
  const ssh = series.median("ssh");
  note(
    `\nMedians of ${runs} runs, taken in turns, with the stand-in backend; the connection itself takes ${Math.round(ssh)} ms.`,
  );
  note(`${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}\n`);
  note(
    table([
      {
        what: "first up, without deploy",
        beside: ["the same docker commands", series.median("by hand")],
        ours: series.median("first"),
        limit: { times: 1.3 },
      },
      { what: "unchanged up, without SSH's own time", ours: series.median("unchanged") - ssh, limit: { most: 2000 } },
    ]),
  );
  await host.stop();
  return 0;
});

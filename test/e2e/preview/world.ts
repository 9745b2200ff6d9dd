/** A repository with pull requests, a preview host behind SSH, and what a test asks of both. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { GitHubApi } from "../../support/github/api.ts";
import { Job, type StepResult } from "../../support/job.ts";
import { type ActOptions, type ActRun, act, makeProject } from "../harness/act.ts";
import { type LabelProxy, startLabelProxy } from "../harness/label-proxy.ts";
import { startNames } from "../harness/names.ts";
import { addHosts, type Remote, remoteAddress, startRemote } from "../harness/remote.ts";
import { root, tool } from "../harness/tools.ts";
import { world } from "../harness/world.ts";

export const domain = "preview.test";
export const PREVIEW_SECRET = "sentinel-preview-secret-0123456789abcdef01234567";

export const TOKEN = "ghs_sentinelTokenOfTheJob0123456789";

export interface PreviewHost {
  readonly remote: Remote;
  readonly proxy: LabelProxy;
  /** Where the jobs find GitHub's API. */
  readonly github: GitHubApi;
  /** Everything on it but images: containers with their state, volumes, networks. */
  inventory(): Promise<string[]>;
  stop(): Promise<void>;
}

/** The second machine with a proxy, its network, and things of others that must stay as they are. */
export async function startHost(
  numbers: readonly number[],
  kind: "traefik" | "caddy" = "traefik",
): Promise<PreviewHost> {
  const remote = await startRemote();
  const names = numbers.flatMap((number) => [`pr-${number}.${domain}`, `pr-${number}-site.${domain}`]);
  addHosts(remoteAddress, [domain, ...names]);
  const nameServer = await startNames(remote, domain);
  await remote.docker("network", "create", "proxy");
  const proxy = await startLabelProxy(remote, { domain, network: "proxy" }, kind);
  const { repository, digest } = world().image;
  await remote.docker("volume", "create", "bystander-data");
  await remote.docker("network", "create", "bystander-net");
  const image = `${repository}@${digest}`;
  await remote.docker(
    ...["run", "-d", "--name", "bystander", "--network", "bystander-net", "-v", "bystander-data:/data"],
    ...["--entrypoint", "sleep", image, "100000"],
  );
  // By a container of this name it is found which network the proxy is on.
  await remote.docker(...["run", "-d", "--name", kind, "--network", "proxy", "--entrypoint", "sleep", image, "100000"]);
  const github = await new GitHubApi(TOKEN, { repository: "acme/app" }).listen();
  return {
    remote,
    proxy,
    github,
    inventory: async () => {
      const lines = async (kind: string, ...args: string[]): Promise<string[]> =>
        (await remote.docker(...args)).split("\n").flatMap((line) => (line === "" ? [] : [`${kind} ${line}`]));
      const all = await Promise.all([
        lines("container", "ps", "-a", "--format", "{{.Names}} {{.State}}"),
        lines("volume", "volume", "ls", "-q"),
        lines("network", "network", "ls", "--format", "{{.Name}}"),
      ]);
      return all.flat().sort();
    },
    stop: async () => {
      await github[Symbol.asyncDispose]();
      await proxy.stop();
      await nameServer.stop();
      await remote.stop();
    },
  };
}

/** The event of a pull request as the double of GitHub's API has it now. */
export function pullRequestEvent(
  host: PreviewHost,
  number: number,
  action: string,
  rest: Readonly<Record<string, unknown>> = {},
): { name: string; payload: unknown } {
  const pull = host.github.state.pullRequests.find((one) => one.number === number);
  if (pull === undefined) throw new Error(`there is no pull request ${number}`);
  const repo = { full_name: "acme/app", name: "app", owner: { login: "acme" }, default_branch: "main" };
  return {
    name: "pull_request",
    payload: {
      action,
      number,
      repository: repo,
      sender: { login: "ada" },
      ...rest,
      pull_request: {
        number,
        state: pull.state,
        draft: pull.draft,
        user: { login: pull.author },
        labels: pull.labels.map((name) => ({ name })),
        head: { sha: pull.commit, ref: pull.branch, repo: { full_name: pull.from } },
        base: { sha: "0".repeat(40), ref: "main", repo },
      },
    },
  };
}

export const commitOf = (seed: number): string => seed.toString(16).padStart(40, "c");

export interface PreviewJob extends Partial<ActOptions> {
  readonly host: PreviewHost;
  readonly vars?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}

/** Runs preview.yml. */
export async function job({ host, vars = {}, files, ...options }: PreviewJob): Promise<ActRun> {
  return await act({
    workflow: "preview.yml",
    project: options.project ?? (await makeProject("examples/chat", files)),
    ...options,
    secrets: {
      GITHUB_TOKEN: TOKEN,
      PREVIEW_SSH_KEY: host.remote.key,
      PREVIEW_SECRET,
      OPENAI_API_KEY: "sk-sentinel-openai-4711",
    },
    vars: {
      NODE_MODULES: join(root, "node_modules"),
      COMMAND: "up",
      PREVIEW_HOST: host.remote.host,
      PREVIEW_KNOWN_HOSTS: host.remote.knownHosts,
      PROXY: "traefik",
      PROXY_NETWORK: "proxy",
      ...vars,
    },
    env: { NODE_EXTRA_CA_CERTS: host.proxy.caFile, GITHUB_API_URL: host.github.url, ...options.env },
  });
}

export interface TemplateJob extends Partial<ActOptions> {
  readonly host: PreviewHost;
  readonly event: NonNullable<ActOptions["event"]>;
  readonly project: string;
  /** Put in place of "memory: 1g" in the template, on lines of their own. */
  readonly inputs?: string;
  readonly name?: string;
}

/**
 * Runs a template as a user has it who filled in the two values that its head asks for, through the reusable workflow to
 * the action: the known hosts name the server, below whose name the previews are then, too.
 */
export async function template(job: TemplateJob): Promise<ActRun> {
  const { host, inputs = "memory: 1g", name = "convex-preview.yml", secrets, ...options } = job;
  const yaml = readFileSync(join(root, "workflows-templates", name), "utf8");
  const workflow = join(mkdtempSync(join(world().scratch, "template-")), name);
  writeFileSync(
    workflow,
    yaml.replace(/^( *)memory: 1g$/m, (_, indent: string) => inputs.replace(/^/gm, indent)),
  );
  return await act({
    workflow,
    ...options,
    secrets: {
      GITHUB_TOKEN: TOKEN,
      PREVIEW_SSH_KEY: host.remote.key,
      CONVEX_ENV: "GREETING=hello\nOPENAI_API_KEY=sk-sentinel-openai-4711",
      ...secrets,
    },
    vars: { PREVIEW_KNOWN_HOSTS: host.remote.knownHosts.replace(remoteAddress, domain) },
    env: { NODE_EXTRA_CA_CERTS: host.proxy.caFile, GITHUB_API_URL: host.github.url, ...options.env },
  });
}

/** What a browser gets, or the status. */
export async function get(host: PreviewHost, url: string): Promise<string> {
  const args = ["-sS", "--max-time", "10", "--cacert", host.proxy.caFile, "-w", "\n%{http_code}", url];
  const result = await systemExec.run(tool("curl"), args);
  const [status = "", ...body] = result.stdout.split("\n").reverse();
  return status === "200" ? body.reverse().join("\n") : `${status} ${result.stderr}`.trim();
}

export interface Step {
  readonly host: PreviewHost;
  readonly project: string;
  readonly event: { readonly name: string; readonly payload: unknown };
  /** Beside those that lead to the host. */
  readonly inputs?: Readonly<Record<string, string>>;
}

/** One step of the bundle without a workflow around it; it must succeed. Silent on GitHub. */
export async function step({ host, project, event, inputs = {} }: Step): Promise<StepResult> {
  const job = await Job.create(project);
  const file = join(job.directory, "event.json");
  writeFileSync(file, JSON.stringify(event.payload));
  const { remote, proxy } = host;
  const result = await job.action("preview", {
    inputs: {
      host: remote.host,
      "ssh-key": remote.key,
      "known-hosts": remote.knownHosts,
      ...(inputs["proxy"] === "none" ? {} : { domain: `{name}.${domain}`, "proxy-network": "proxy" }),
      "preview-secret": PREVIEW_SECRET,
      image: world().image.repository,
      version: world().image.digest,
      comment: "false",
      "github-environment": "none",
      ...inputs,
    },
    env: {
      GITHUB_REPOSITORY: "acme/app",
      GITHUB_EVENT_NAME: event.name,
      GITHUB_EVENT_PATH: file,
      NODE_EXTRA_CA_CERTS: proxy.caFile,
    },
  });
  await job.remove();
  if (result.exitCode !== 0) throw new Error(result.log.replace(/^::add-mask::.*\n/gm, ""));
  return result;
}

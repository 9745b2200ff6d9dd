import { isIP } from "node:net";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import type { DeployableInputs } from "../start/deployable.ts";
import { DEFAULT_IMAGE } from "../start/inputs.ts";
import { serverOf } from "./ssh/known-hosts.ts";

const DAY_MS = 86_400_000;

/** The inputs of the preview action, each read and checked by itself; `rules.ts` judges how they go together. */
export interface PreviewInputs extends DeployableInputs {
  readonly command: "up" | "down" | "sweep" | "bundle";
  /** A Docker context, an address of an engine, or undefined: the local one, where there is no `sshKey`. */
  readonly host: string | undefined;
  readonly sshKey: string | undefined;
  readonly knownHosts: string;
  readonly name: string | undefined;
  readonly domain: string | undefined;
  readonly siteDomain: string | undefined;
  readonly proxy: "traefik" | "caddy" | "none";
  readonly proxyNetwork: string | undefined;
  readonly certResolver: string | undefined;
  readonly bind: string | undefined;
  readonly previewSecret: string | undefined;
  readonly ttlMs: number | undefined;
  /** 0: as many as there are. */
  readonly maxPreviews: number;
  readonly memory: number | undefined;
  readonly cpus: number | undefined;
  readonly label: string | undefined;
  readonly drafts: boolean;
  readonly forkLabel: string | undefined;
  /** Whether a maintainer has to have reviewed the commit too. */
  readonly forkReview: boolean;
  readonly forkEnv: string;
  /** A recorded push: written by `bundle`, sent by `up` instead of running the project's CLI. */
  readonly pushFile: string | undefined;
  /** Names, with `*`, of variables that stay although nothing lists them. */
  readonly envKeep: readonly string[];
  readonly dryRun: boolean;
  readonly version: string | undefined;
  readonly image: string;
  readonly pull: "missing" | "always" | "never";
  readonly requireDigest: boolean;
  readonly backendEnv: string;
  readonly postgresUrl: string | undefined;
  readonly dashboard: boolean;
  readonly dashboardImage: string | undefined;
  readonly exportEnv: boolean;
  readonly urlVariables: readonly string[];
  readonly comment: boolean;
  readonly githubEnvironment: string | undefined;
  readonly githubToken: string | undefined;
  readonly readyTimeoutMs: number;
}

/**
 * Reads all inputs; secrets are masked on the way.
 * @throws ActionError `input-invalid`, `input-too-large`, `secret-too-short`, `known-hosts-invalid`
 */
export function readPreviewInputs(read: ReadInput): PreviewInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const secrets = {
    sshKey: inputs.secret("ssh-key"),
    previewSecret: inputs.secret("preview-secret")?.trim(),
    postgresUrl: inputs.secret("postgres-url")?.trim(),
    jwtPrivateKey: inputs.secret("jwt-private-key"),
    envSecrets: inputs.secret("env-secrets") ?? "",
    githubToken: inputs.secret("github-token")?.trim(),
  };
  const knownHosts = inputs.raw("known-hosts");
  // A key leads to the server that the known hosts are of.
  const host = inputs.optional("host") ?? (secrets.sshKey === undefined ? undefined : serverOf(knownHosts));
  return {
    ...secrets,
    host,
    knownHosts,
    ...readPlace(inputs),
    ...readWhich(inputs, host),
    ...readContent(inputs),
    command: inputs.choice("command", ["up", "down", "sweep", "bundle"], "up"),
    dryRun: inputs.boolean("dry-run", false),
    exportEnv: inputs.boolean("export-env", true),
    urlVariables: inputs.words("url-variables"),
    comment: inputs.boolean("comment", true),
    githubEnvironment: inputs.optional("github-environment"),
    readyTimeoutMs: inputs.duration("ready-timeout", 120_000),
  };
}

/**
 * Names below the server's own: its wildcard DNS entry has to lead to it in any case. A server that has no name, or is the
 * machine of the job, makes none.
 */
function usualDomain(inputs: Inputs, host: string | undefined): string | undefined {
  if (inputs.text("proxy") === "none" || host?.startsWith("ssh://") !== true || !URL.canParse(host)) return undefined;
  const { hostname } = new URL(host);
  return hostname.includes(".") && isIP(hostname) === 0 ? `{name}.${hostname.toLowerCase()}` : undefined;
}

function readPlace(inputs: Inputs) {
  return {
    proxy: inputs.choice("proxy", ["traefik", "caddy", "none"], "traefik"),
    proxyNetwork: inputs.optional("proxy-network"),
    certResolver: inputs.optional("cert-resolver"),
    bind: inputs.optional("bind"),
    memory: inputs.bytes("memory", 1024 ** 3),
    cpus: inputs.decimal("cpus", undefined),
  };
}

function readWhich(inputs: Inputs, host: string | undefined) {
  return {
    name: inputs.optional("name"),
    domain: inputs.optional("domain") ?? usualDomain(inputs, host),
    siteDomain: inputs.optional("site-domain"),
    label: inputs.optional("label"),
    drafts: inputs.boolean("drafts", true),
    forkLabel: inputs.optional("fork-label"),
    forkReview: inputs.boolean("fork-review", true),
    forkEnv: inputs.raw("fork-env"),
    pushFile: inputs.optional("push-file"),
    ttlMs: inputs.period("ttl", 14 * DAY_MS),
    maxPreviews: inputs.integer("max-previews", { least: 0, most: 1000 }, 0),
  };
}

function readContent(inputs: Inputs) {
  return {
    version: inputs.optional("version"),
    image: inputs.optional("image") ?? DEFAULT_IMAGE,
    pull: inputs.choice("pull", ["missing", "always", "never"], "missing"),
    requireDigest: inputs.boolean("require-digest", false),
    backendEnv: inputs.raw("backend-env"),
    env: inputs.raw("env"),
    envFiles: inputs.lines("env-file"),
    envNames: inputs.words("env-names"),
    envKeep: inputs.words("env-keep"),
    auth: inputs.choice("auth", ["none", "convex-auth"], "none"),
    appUrl: inputs.optional("app-url"),
    paused: false,
    deploy: inputs.boolean("deploy", true),
    workingDirectory: inputs.optional("working-directory") ?? ".",
    typecheck: inputs.choice("typecheck", ["enable", "try", "disable"], "try"),
    codegen: inputs.choice("codegen", ["enable", "disable"], "enable"),
    imports: inputs.lines("import"),
    run: inputs.lines("run"),
    dashboard: inputs.boolean("dashboard", false),
    dashboardImage: inputs.optional("dashboard-image"),
    showDocuments: inputs.boolean("show-documents", false),
  };
}

import { DEFAULT_INSTANCE_NAME } from "../credentials/instance-name.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";

export const DEFAULT_IMAGE = "ghcr.io/get-convex/convex-backend";
export const DEFAULT_RELEASES_URL = "https://api.github.com/repos/get-convex/convex-backend/releases";

/** The inputs of the root action, each read and checked by itself; `rules.ts` judges how they go together. */
export interface StartInputs {
  readonly version: string | undefined;
  readonly runtime: "docker" | "binary" | "auto";
  readonly image: string;
  readonly pull: "missing" | "always" | "never";
  readonly requireDigest: boolean;
  readonly binaryPath: string | undefined;
  readonly releasesUrl: string;
  readonly releasesToken: string | undefined;
  readonly instanceName: string;
  readonly instanceSecret: string | undefined;
  readonly port: number;
  readonly sitePort: number;
  readonly bind: string;
  readonly cloudOrigin: string | undefined;
  readonly siteOrigin: string | undefined;
  readonly serviceContainer: string | undefined;
  readonly network: string | undefined;
  readonly postgresUrl: string | undefined;
  readonly mysqlUrl: string | undefined;
  readonly createDatabase: boolean;
  readonly backendEnv: string;
  readonly data: string | undefined;
  readonly env: string;
  /** In dotenv form, like `env`; its values are secrets. */
  readonly envSecrets: string;
  readonly envFiles: readonly string[];
  readonly envNames: readonly string[];
  readonly auth: "none" | "convex-auth";
  readonly jwtPrivateKey: string | undefined;
  readonly appUrl: string | undefined;
  readonly paused: boolean;
  readonly deploy: boolean;
  readonly workingDirectory: string;
  readonly typecheck: "enable" | "try" | "disable";
  readonly codegen: "enable" | "disable";
  readonly imports: readonly string[];
  readonly run: readonly string[];
  readonly exportEnv: boolean;
  readonly urlVariables: readonly string[];
  readonly dashboard: boolean;
  readonly dashboardImage: string | undefined;
  readonly readyTimeoutMs: number;
  readonly logs: "on-failure" | "always" | "never";
  readonly showDocuments: boolean;
  readonly reclaim: boolean;
}

/**
 * Reads all inputs; secrets are masked on the way.
 * @throws ActionError `input-invalid`, `input-too-large`, `secret-too-short`
 */
export function readStartInputs(read: ReadInput): StartInputs {
  const inputs = new Inputs(read);
  // Secrets first: an error about another input must not come before they are masked.
  const secrets = {
    instanceSecret: inputs.secret("instance-secret")?.trim(),
    releasesToken: inputs.secret("releases-token")?.trim(),
    postgresUrl: inputs.secret("postgres-url")?.trim(),
    mysqlUrl: inputs.secret("mysql-url")?.trim(),
    jwtPrivateKey: inputs.secret("jwt-private-key"),
    envSecrets: inputs.secret("env-secrets") ?? "",
  };
  return {
    ...secrets,
    version: inputs.optional("version"),
    runtime: inputs.choice("runtime", ["docker", "binary", "auto"], "docker"),
    image: inputs.optional("image") ?? DEFAULT_IMAGE,
    pull: inputs.choice("pull", ["missing", "always", "never"], "missing"),
    requireDigest: inputs.boolean("require-digest", false),
    binaryPath: inputs.optional("binary-path"),
    releasesUrl: inputs.optional("releases-url") ?? DEFAULT_RELEASES_URL,
    instanceName: inputs.optional("instance-name") ?? DEFAULT_INSTANCE_NAME,
    port: inputs.integer("port", { least: 0, most: 65_535 }, 3210),
    sitePort: inputs.integer("site-port", { least: 0, most: 65_535 }, 3211),
    bind: inputs.optional("bind") ?? "127.0.0.1",
    cloudOrigin: inputs.origin("cloud-origin"),
    siteOrigin: inputs.origin("site-origin"),
    serviceContainer: inputs.optional("service-container"),
    network: inputs.optional("network"),
    createDatabase: inputs.boolean("create-database", false),
    backendEnv: inputs.raw("backend-env"),
    data: inputs.optional("data"),
    env: inputs.raw("env"),
    envFiles: inputs.lines("env-file"),
    envNames: inputs.words("env-names"),
    auth: inputs.choice("auth", ["none", "convex-auth"], "none"),
    appUrl: inputs.optional("app-url"),
    paused: inputs.boolean("paused", false),
    deploy: inputs.boolean("deploy", true),
    workingDirectory: inputs.optional("working-directory") ?? ".",
    typecheck: inputs.choice("typecheck", ["enable", "try", "disable"], "try"),
    codegen: inputs.choice("codegen", ["enable", "disable"], "enable"),
    imports: inputs.lines("import"),
    run: inputs.lines("run"),
    exportEnv: inputs.boolean("export-env", true),
    urlVariables: inputs.words("url-variables"),
    dashboard: inputs.boolean("dashboard", false),
    dashboardImage: inputs.optional("dashboard-image"),
    readyTimeoutMs: inputs.duration("ready-timeout", 60_000),
    logs: inputs.choice("logs", ["on-failure", "always", "never"], "on-failure"),
    showDocuments: inputs.boolean("show-documents", false),
    reclaim: inputs.boolean("reclaim", false),
  };
}

import { join } from "node:path";
import type { Deps } from "../system/deps.ts";
import type { BackendSpec } from "./backend.ts";
import { usesS3 } from "./s3-settings.ts";

/** Where one backend lives on this machine. */
export interface Layout {
  /** Ours, mode 0700, removed at the end. */
  readonly directory: string;
  readonly logFile: string;
  readonly temp: string;
  /** `db.sqlite3` and `storage`, as in the image: a kept directory serves both runtimes (contract 1.4). */
  readonly data: string;
}

export function layoutOf(spec: BackendSpec, temp: string, owner: string): Layout {
  const directory = join(temp, `convex-backend-${owner}`);
  return {
    directory,
    logFile: join(directory, "backend.log"),
    temp: join(directory, "tmp"),
    data: spec.data ?? join(directory, "data"),
  };
}

export interface Addresses {
  readonly port: number;
  readonly sitePort: number;
  readonly url: string;
  readonly siteUrl: string;
  readonly cloudOrigin: string;
  readonly siteOrigin: string;
}

/** How this job reaches an address that something is bound to. */
function reachable(bind: string): string {
  return bind === "0.0.0.0" ? "127.0.0.1" : bind;
}

export function addressesOf(spec: BackendSpec, port: number, sitePort: number): Addresses {
  const url = `http://${reachable(spec.bind)}:${port}`;
  const siteUrl = `http://${reachable(spec.bind)}:${sitePort}`;
  return {
    port,
    sitePort,
    url,
    siteUrl,
    cloudOrigin: spec.cloudOrigin ?? url,
    siteOrigin: spec.siteOrigin ?? siteUrl,
  };
}

const given = (spec: BackendSpec, name: string): boolean => (spec.backendEnv[name] ?? "") !== "";

/** `DISABLE_BEACON=false` is the only way to have the beacon; the flag wins over the variable (contract 1.1). */
function wantsBeacon(spec: BackendSpec): boolean {
  return /^(n|no|f|false|off|0)$/i.test(spec.backendEnv["DISABLE_BEACON"] ?? "");
}

function database(spec: BackendSpec, layout: Layout): string[] {
  if (spec.postgresUrl !== undefined) return ["--db", "postgres-v5", spec.postgresUrl];
  if (spec.mysqlUrl !== undefined) return ["--db", "mysql-v5", spec.mysqlUrl];
  return [join(layout.data, "db.sqlite3")];
}

/**
 * Arguments of the release binary (contract 1.1), with the variables that the image's script turns into flags
 * (contract 1.2). The secret and a database URL are among them: the binary takes them no other way (threat model).
 */
export function backendArguments(spec: BackendSpec, layout: Layout, addresses: Addresses): string[] {
  return [
    ...["--interface", spec.bind, "--port", String(addresses.port), "--site-proxy-port", String(addresses.sitePort)],
    ...["--instance-name", spec.instanceName, "--instance-secret", spec.instanceSecret],
    ...["--convex-origin", addresses.cloudOrigin, "--convex-site", addresses.siteOrigin],
    ...(usesS3(spec.backendEnv) ? ["--s3-storage"] : ["--local-storage", join(layout.data, "storage")]),
    ...(wantsBeacon(spec) ? [] : ["--disable-beacon"]),
    ...(given(spec, "REDACT_LOGS_TO_CLIENT") ? ["--redact-logs-to-client"] : []),
    ...(given(spec, "DO_NOT_REQUIRE_SSL") ? ["--do-not-require-ssl"] : []),
    ...database(spec, layout),
  ];
}

/**
 * What the backend needs of the job's environment, and nothing else: a Node action sees the backend's variables, so
 * tokens, inputs and the user's secrets must not be among them. The rest comes by `backend-env`.
 */
const INHERITED = [
  // The runner ends what carries this when the job is over, should our own end not come to it.
  /^RUNNER_TRACKING_ID$/,
  /^(HOME|LANG|LANGUAGE|LC_\w+|TZ|USER|LOGNAME|SHELL)$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|PG_CA_FILE|MYSQL_CA_FILE|NODE_EXTRA_CA_CERTS)$/,
  // External packages of Node actions are installed by the backend with npm.
  /^(https?_proxy|no_proxy|all_proxy)$/i,
  /^npm_config_(registry|userconfig|globalconfig|cafile|cache)$/i,
  /^(SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|TEMP|TMP|APPDATA|LOCALAPPDATA|USERPROFILE|ProgramData|ProgramFiles|NUMBER_OF_PROCESSORS|PROCESSOR_ARCHITECTURE)$/i,
];

/** The whole environment of the backend's process. `marks` are our ownership variables. */
export function backendEnvironment(
  spec: BackendSpec,
  layout: Layout,
  path: string,
  marks: Readonly<Record<string, string>>,
  env: Deps["env"],
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && INHERITED.some((pattern) => pattern.test(name))) result[name] = value;
  }
  Object.assign(result, { PATH: path, TMPDIR: layout.temp, NO_COLOR: "1" }, spec.backendEnv, marks);
  // Empty stops the binary (contract 1.1); the flag says it anyway.
  if (!wantsBeacon(spec)) delete result["DISABLE_BEACON"];
  return result;
}

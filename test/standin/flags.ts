/**
 * The command line of `convex-local-backend` (contract 1.1): flags, rules between them, and clap's error texts.
 * `--like` is the stand-in's own flag.
 */
import { CommandLineError, invalidValue, missingValue, parseTokens, type Spec, usageOf } from "./clap.ts";

export type Like = "first" | "m14" | "head";

export interface Flags {
  db: string;
  /** file for SQLite, URL for the others */
  dbSpec: string;
  interface: string;
  port: number;
  sitePort: number;
  cloudOrigin: string | undefined;
  siteOrigin: string | undefined;
  instanceName: string | undefined;
  instanceSecret: string | undefined;
  /** undefined with `--s3-storage` */
  localStorage: string | undefined;
  requireSsl: boolean;
  beacon: boolean;
  redactLogs: boolean;
  like: Like;
}

export type Command =
  | { kind: "run"; flags: Flags }
  | { kind: "help" }
  | { kind: "version" }
  | { kind: "keygen"; instanceName: string; instanceSecret: string };

const DATABASES = [
  "sqlite",
  "mysql-v5",
  "mysql-v5-aws-iam",
  "mysql-v5-multitenant",
  "postgres-v5",
  "postgres-v5-multi-schema",
  "postgres-v5-multitenant",
  "postgres-v5-aws-iam",
];

const SPECS: Spec[] = [
  { name: "db", short: "d", value: "DB" },
  { name: "interface", short: "i", value: "INTERFACE" },
  { name: "port", short: "p", value: "PORT" },
  { name: "site-proxy-port", value: "SITE_PROXY_PORT" },
  { name: "convex-origin", value: "CONVEX_ORIGIN", requires: "convex-site" },
  { name: "convex-site", value: "CONVEX_SITE", requires: "convex-origin" },
  { name: "convex-http-proxy", value: "CONVEX_HTTP_PROXY" },
  { name: "instance-name", value: "INSTANCE_NAME", requires: "instance-secret" },
  { name: "instance-secret", value: "INSTANCE_SECRET", requires: "instance-name" },
  { name: "sentry-identifier", value: "SENTRY_IDENTIFIER" },
  { name: "local-storage", value: "LOCAL_STORAGE" },
  { name: "s3-storage" },
  { name: "do-not-require-ssl" },
  { name: "disable-beacon" },
  { name: "beacon-tag", value: "BEACON_TAG" },
  { name: "beacon-fields", value: "BEACON_FIELDS" },
  { name: "redact-logs-to-client" },
  { name: "local-log-sink", value: "LOCAL_LOG_SINK" },
  { name: "like", value: "LIKE", own: true },
];

const KEYGEN: Spec[] = [
  { name: "instance-name", value: "INSTANCE_NAME" },
  { name: "instance-secret", value: "INSTANCE_SECRET" },
];

/**
 * Reads the arguments and the variables that clap reads.
 * @throws CommandLineError with clap's text: stderr, exit code 2
 */
export function parseCommand(argv: readonly string[], env: NodeJS.ProcessEnv): Command {
  const like = likeOf(argv, env);
  if (like === "head" && argv[0] === "keygen") return parseKeygen(argv.slice(1));
  const parsed = parseTokens(argv, SPECS);
  if (parsed === "help" || parsed === "version") return { kind: parsed };
  const { values, order, positional } = parsed;

  const db = values.get("db") ?? "sqlite";
  if (!DATABASES.includes(db)) throw invalidValue("db", "DB", db, undefined, DATABASES);
  const address = values.get("interface") ?? "0.0.0.0";
  if (!isIpv4(address)) throw invalidValue("interface", "INTERFACE", address, "invalid IPv4 address syntax");
  const port = portOf(values.get("port"), "port", "PORT") ?? 3210;
  const sitePort = portOf(values.get("site-proxy-port"), "site-proxy-port", "SITE_PROXY_PORT") ?? 3211;
  const beacon = beaconOf(values.has("disable-beacon"), like === "first" ? undefined : env["DISABLE_BEACON"]);
  checkRules(values, order, positional);

  const flags: Flags = {
    db,
    dbSpec: positional ?? "convex_local_backend.sqlite3",
    interface: address,
    port,
    sitePort,
    cloudOrigin: values.get("convex-origin"),
    siteOrigin: values.get("convex-site"),
    instanceName: values.get("instance-name"),
    instanceSecret: values.get("instance-secret"),
    localStorage: values.has("s3-storage") ? undefined : (values.get("local-storage") ?? "convex_local_storage"),
    requireSsl: !values.has("do-not-require-ssl"),
    beacon,
    redactLogs: values.has("redact-logs-to-client"),
    like,
  };
  return { kind: "run", flags };
}

/** `--like` or STANDIN_LIKE; looked for before the rest, because it decides which command line is understood. */
function likeOf(argv: readonly string[], env: NodeJS.ProcessEnv): Like {
  const at = argv.indexOf("--like");
  const joined = argv.find((a) => a.startsWith("--like="));
  const value = joined?.slice("--like=".length) ?? (at >= 0 ? argv[at + 1] : undefined) ?? env["STANDIN_LIKE"] ?? "m14";
  if (value !== "first" && value !== "m14" && value !== "head") {
    throw invalidValue("like", "LIKE", value, undefined, ["first", "m14", "head"]);
  }
  return value;
}

function parseKeygen(argv: readonly string[]): Command {
  if (argv[0] !== "admin-key") {
    throw new CommandLineError(
      `error: unrecognized subcommand '${argv[0] ?? ""}'\n\nFor more information, try '--help'.`,
    );
  }
  const parsed = parseTokens(argv.slice(1), [...KEYGEN, { name: "like", value: "LIKE", own: true }]);
  if (parsed === "help" || parsed === "version") return { kind: parsed };
  const instanceName = parsed.values.get("instance-name");
  const instanceSecret = parsed.values.get("instance-secret");
  if (instanceName === undefined || instanceSecret === undefined) {
    const missing = KEYGEN.filter((spec) => !parsed.values.has(spec.name)).map((spec) => spec.name);
    throw missingValue(
      missing,
      KEYGEN,
      "Usage: convex-local-backend keygen admin-key --instance-name <INSTANCE_NAME> --instance-secret <INSTANCE_SECRET>",
    );
  }
  return { kind: "keygen", instanceName, instanceSecret };
}

function checkRules(values: Map<string, string>, order: string[], positional: string | undefined): void {
  if (values.has("local-storage") && values.has("s3-storage")) {
    const first = order.find((name) => name === "local-storage" || name === "s3-storage");
    const [one, other] =
      first === "s3-storage"
        ? ["--s3-storage", "--local-storage <LOCAL_STORAGE>"]
        : ["--local-storage <LOCAL_STORAGE>", "--s3-storage"];
    const rest = order.filter((name) => name === first || (name !== "local-storage" && name !== "s3-storage"));
    throw new CommandLineError(
      `error: the argument '${one}' cannot be used with '${other}'\n\n${usageOf(rest, SPECS, positional)}\n\nFor more information, try '--help'.`,
    );
  }
  const missing = SPECS.filter((s) => s.requires !== undefined && values.has(s.name) && !values.has(s.requires));
  if (missing.length === 0) return;
  // clap names the arguments with requirements first, each followed by what it requires
  const paired: string[] = [];
  for (const name of order) {
    const required = SPECS.find((s) => s.name === name)?.requires;
    if (required === undefined) continue;
    for (const each of [name, required]) if (!paired.includes(each)) paired.push(each);
  }
  const shown = [...paired, ...order.filter((name) => !paired.includes(name))];
  throw missingValue(
    missing.flatMap((s) => s.requires ?? []),
    SPECS,
    usageOf(shown, SPECS, positional),
  );
}

function portOf(text: string | undefined, name: string, value: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\+?\d+$/.test(text)) {
    throw invalidValue(
      name,
      value,
      text,
      text === "" ? "cannot parse integer from empty string" : "invalid digit found in string",
    );
  }
  const port = Number(text);
  if (port > 65535) throw invalidValue(name, value, text, `${text} is not in 0..=65535`);
  return port;
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256);
}

/** The flag wins; without it the variable must be a boolean word, also when it is empty (contract 1.1). */
function beaconOf(disabledByFlag: boolean, variable: string | undefined): boolean {
  if (disabledByFlag) return false;
  if (variable === undefined) return true;
  const word = variable.toLowerCase();
  if (["y", "yes", "t", "true", "on", "1"].includes(word)) return false;
  if (["n", "no", "f", "false", "off", "0"].includes(word)) return true;
  throw invalidValue("disable-beacon", undefined, variable, "value was not a boolean");
}

export const HELP = `Stand-in for convex-local-backend: a test double, not a Convex backend.

Usage: convex-local-backend [OPTIONS] [DB_SPEC]

Arguments:
  [DB_SPEC]  File path for SQLite, URL for Postgres and MySQL [default: convex_local_backend.sqlite3]

Options:
${SPECS.map((s) => `${s.short === undefined ? "      " : `  -${s.short}, `}--${s.name}${s.value === undefined ? "" : ` <${s.value}>`}`).join("\n")}
  -h, --help
  -V, --version

Its own variables are described in test/standin/knobs.ts.
`;

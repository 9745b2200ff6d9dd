/** POSTGRES_URL as M14 reads it: what it refuses before it connects, and with which words (contract 1.4). */
import { StartError } from "./database.ts";

export interface PostgresTarget {
  host: string;
  port: number;
  user: string;
  password: string | undefined;
  database: string;
  tls: "disable" | "prefer" | "require";
  channelBinding: boolean;
  /** sent with the startup packet */
  parameters: Record<string, string>;
}

type Check = (value: string) => boolean;
const whole: Check = (value) => /^-?\d+$/.test(value);
const any: Check = () => true;

const OPTIONS: Record<string, Check> = {
  user: any,
  password: any,
  host: any,
  port: whole,
  dbname: any,
  options: any,
  application_name: any,
  search_path: any,
  sslmode: (value) => ["disable", "prefer", "require"].includes(value),
  channel_binding: (value) => ["disable", "prefer", "require"].includes(value),
  target_session_attrs: (value) => ["any", "read-write", "read-only"].includes(value),
  connect_timeout: whole,
  tcp_user_timeout: whole,
  keepalives: whole,
  keepalives_idle: whole,
  keepalives_interval: whole,
  keepalives_retries: whole,
};

/**
 * @param text the URL as given
 * @param instanceName the database is called like it, `-` becoming `_`, unless the URL says `dbname=`
 * @throws StartError
 */
export function readPostgresUrl(text: string, instanceName: string, requireSsl: boolean): PostgresTarget {
  const url = parse(text);
  if (url.username === "") throw new StartError("cluster url username must be set");
  if (url.pathname !== "" && url.pathname !== "/") {
    throw new StartError(`cluster url already contains db name: ${url.pathname}`);
  }
  const database = instanceName.replaceAll("-", "_");
  if (!["postgres:", "postgresql:"].includes(url.protocol)) {
    throw refused(`unknown option \`${text.replace(/\/?$/, "")}/${database}?target_session_attrs\``);
  }
  const options = readOptions(url);
  // the real one appends its own parameter, which ends up behind the `#`
  if (url.hash !== "") throw refused("invalid value for option `target_session_attrs`");
  const option = (name: string) => options.get(name);
  const wanted = option("sslmode") as PostgresTarget["tls"] | undefined;
  const user = option("user") ?? decode(url.username);
  return {
    host: option("host") ?? decode(url.hostname).replace(/^\[|\]$/g, ""),
    port: Number(option("port") ?? (url.port || 5432)),
    user,
    password: option("password") ?? (url.password === "" ? undefined : decode(url.password)),
    database: option("dbname") ?? (database === "" ? user : database),
    tls: requireSsl ? "require" : (wanted ?? "prefer"),
    channelBinding: option("channel_binding") === "require",
    parameters: parametersOf(options),
  };
}

function parse(text: string): URL {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(text)) throw new StartError("relative URL without a base");
  try {
    return new URL(text);
  } catch {
    const authority = /^[^:]*:\/\/([^/?#]*)/.exec(text)?.[1] ?? "";
    const host = authority.slice(authority.lastIndexOf("@") + 1);
    throw new StartError(/^(:\d*)?$/.test(host) ? "empty host" : "invalid port number");
  }
}

function readOptions(url: URL): Map<string, string> {
  const options = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    const check = OPTIONS[name];
    if (check === undefined) throw refused(`unknown option \`${name}\``);
    if (!check(value)) throw refused(`invalid value for option \`${name}\``);
    options.set(name, value);
  }
  return options;
}

/** A space arrives at the server as `+` (contract 1.4). */
function parametersOf(options: Map<string, string>): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const name of ["application_name", "options"]) {
    const value = options.get(name);
    if (value !== undefined) parameters[name] = value.replaceAll(" ", "+");
  }
  return parameters;
}

function refused(cause: string): StartError {
  return new StartError("invalid postgres connection url", `invalid connection string: ${cause}`);
}

/** Percent-decoding that leaves a lone `%` alone. */
function decode(text: string): string {
  return text.replace(/(%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll("%", ""), "hex").toString());
}

import { ActionError } from "../runner/errors.ts";

/** A database server and the database in it that the backend will open (contract 1.4). */
export interface DatabaseTarget {
  readonly kind: "postgres" | "mysql";
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  /** `prefer`: TLS where the server offers it, its certificate checked all the same. */
  readonly tls: "require" | "prefer" | "off";
  readonly warnings: readonly string[];
}

const FORM = "postgresql://user:password@host:5432";
const PARAMETERS =
  /^(sslmode|connect_timeout|application_name|keepalives|password|target_session_attrs|channel_binding|search_path|dbname)$/;

function refused(input: string, why: string, hint: string): ActionError {
  return new ActionError("database-url-invalid", `${input}: ${why}.`, hint);
}

/** Percent-decoding that leaves a `%` alone which begins no escape, as the backend does. */
function decoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll("%", ""), "hex").toString());
}

/**
 * `database name = instance name with every "-" as "_"`, nothing else; Postgres cuts it at 63 bytes.
 */
export function databaseName(instanceName: string): string {
  return instanceName.replaceAll("-", "_").slice(0, 63);
}

/** Reads a URL; the messages name what is wrong with it and never quote it, since it holds a password. */
function readUrl(input: string, text: string, scheme: RegExp, form: string): URL {
  if (!scheme.test(text)) {
    const given = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
    const why = given === undefined ? "it is no URL" : `its scheme is ${given}`;
    throw refused(input, why, `The form is ${form}.`);
  }
  // URL parsers drop line breaks and tabs; the backend does not.
  if (/\s/.test(text)) {
    throw refused(input, "it holds blanks or line breaks", `Write it on one line: ${form}. A blank in it is %20.`);
  }
  const [authority = ""] = text.replace(scheme, "").split(/[/?#]/, 1);
  const rest = text.replace(scheme, "").slice(authority.length);
  if (!authority.includes("@") && rest.includes("@")) {
    throw refused(
      input,
      "user or password hold one of / ? # as it is, which ends them",
      "Percent-encode it: / is %2F, ? is %3F, # is %23.",
    );
  }
  if (authority.slice(authority.lastIndexOf("@") + 1).includes(",")) {
    throw refused(input, "it names several hosts", "Name one; the backend connects to exactly one server.");
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refused(
      input,
      "host or port cannot be read",
      `The form is ${form}; special characters in the password percent-encoded.`,
    );
  }
  if (url.username === "") throw refused(input, "it names no user", `The form is ${form}.`);
  if (url.hostname === "" || /%2f/i.test(url.hostname)) {
    throw refused(input, "it names no host; Unix sockets are not supported by the backend", `The form is ${form}.`);
  }
  return url;
}

function serverOf(url: URL, port: number): Pick<DatabaseTarget, "host" | "port" | "user"> {
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? port : Number(url.port),
    user: decoded(url.username),
  };
}

function checkParameters(url: URL): void {
  for (const [name, value] of url.searchParams) {
    if (name === "host" || name === "hostaddr") {
      throw refused(
        "postgres-url",
        `the parameter ${name} is not taken, and neither are Unix sockets`,
        `The form is ${FORM}.`,
      );
    }
    if (!PARAMETERS.test(name)) {
      throw refused(
        "postgres-url",
        `the backend refuses the parameter ${name}`,
        "Leave it out; taken are sslmode, connect_timeout, application_name, keepalives and dbname.",
      );
    }
    if (name === "sslmode" && !/^(disable|prefer|require)$/.test(value)) {
      throw refused(
        "postgres-url",
        `sslmode=${value} is not taken (only disable, prefer, require)`,
        "Leave it out: certificate and host name are always checked.",
      );
    }
    if (name === "channel_binding" && value === "require") {
      throw refused("postgres-url", "channel_binding=require fails with this backend", "Leave it out.");
    }
  }
}

/**
 * Checks `postgres-url` by the backend's rules (contract 1.4). Nothing is connected to.
 * @param requireSsl false when DO_NOT_REQUIRE_SSL is set for the backend
 * @throws ActionError `database-url-invalid`
 */
export function checkPostgresUrl(
  text: string,
  instanceName: string,
  { requireSsl }: { readonly requireSsl: boolean },
): DatabaseTarget {
  const url = readUrl("postgres-url", text, /^postgres(?:ql)?:\/\//i, FORM);
  const name = databaseName(instanceName);
  if (url.pathname !== "" && url.pathname !== "/") {
    throw refused(
      "postgres-url",
      `it has a path (${url.pathname}), and the backend names its database itself: "${name}", after the instance name`,
      `Leave the path out and create "${name}" (or set create-database: true); ?dbname=<name> opens another one.`,
    );
  }
  if (url.hash !== "") throw refused("postgres-url", "it has a #fragment", "Percent-encode # as %23, or leave it out.");
  checkParameters(url);
  const warnings: string[] = [];
  const sslmode = url.searchParams.get("sslmode");
  if (requireSsl && sslmode === "disable") {
    warnings.push(
      "postgres-url: sslmode=disable has no effect alone, the backend demands TLS; set DO_NOT_REQUIRE_SSL=true in backend-env as well.",
    );
  }
  const database = url.searchParams.get("dbname") ?? name;
  if (database === "postgres") {
    warnings.push('postgres-url: the database will be "postgres", the one that servers use for maintenance.');
  }
  const password = url.searchParams.get("password") ?? decoded(url.password);
  return {
    kind: "postgres",
    ...serverOf(url, 5432),
    ...(password === "" ? {} : { password }),
    database,
    tls: requireSsl ? "require" : sslmode === "disable" ? "off" : "prefer",
    warnings,
  };
}

/**
 * Checks `mysql-url` (contract 1.4); which parameters the driver takes is left to the backend. Nothing is connected to.
 * @param requireSsl false when DO_NOT_REQUIRE_SSL is set for the backend; the URL can demand TLS all the same
 * @throws ActionError `database-url-invalid`
 */
export function checkMysqlUrl(
  text: string,
  instanceName: string,
  { requireSsl }: { readonly requireSsl: boolean },
): DatabaseTarget {
  const form = "mysql://user:password@host:3306";
  const url = readUrl("mysql-url", text, /^mysql:\/\//i, form);
  if (url.searchParams.has("sslmode")) {
    throw refused("mysql-url", "the backend refuses the parameter sslmode", "Leave it out; require_ssl is MySQL's.");
  }
  const database = databaseName(instanceName);
  const password = decoded(url.password);
  const path = url.pathname.replace(/^\//, "");
  return {
    kind: "mysql",
    ...serverOf(url, 3306),
    ...(password === "" ? {} : { password }),
    database,
    tls: requireSsl || url.searchParams.get("require_ssl") === "true" ? "require" : "off",
    warnings:
      path === ""
        ? []
        : [
            `mysql-url: the database in the path has no effect, the backend opens "${database}" after its instance name; it must exist all the same.`,
          ],
  };
}

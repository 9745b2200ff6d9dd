import { checkPostgresUrl, type DatabaseTarget } from "../backend/database-url.ts";

export interface BackendDatabase {
  /** For POSTGRES_URL of the backend: no database in its path, no parameter but those that say who and what. */
  readonly url: string;
  /** The database that the backend opens there: by its instance name, or what `dbname` says. */
  readonly database: string;
  /** The same for whoever looks at it or makes it. */
  readonly target: DatabaseTarget;
  /** What the string names, which need not be there. */
  readonly named: string | undefined;
  readonly notices: readonly string[];
}

/** Neon's pooler is the same host with this behind its first part. */
const NEON_POOLER = /^([^.@]+)-pooler(\.[^@]*\.neon\.tech(?::\d+)?)$/i;

/** What the backend needs of the parameters, and would not do without: `dbname` opens another database (contract 1.4). */
const KEPT = /^(dbname|password)=/;

/** The parameters of what comes behind the authority, parted. */
function parametersOf(rest: string): { readonly kept: readonly string[]; readonly dropped: readonly string[] } {
  const all = (/\?([^#]*)/.exec(rest)?.[1] ?? "").split("&").filter((one) => one !== "");
  return {
    kept: all.filter((one) => KEPT.test(one)),
    dropped: all.filter((one) => !KEPT.test(one)).map((one) => one.split("=", 1)[0] ?? ""),
  };
}

function unescaped(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The host of an authority, without what stands before its last @. */
function withHost(authority: string, change: (host: string) => string): string {
  const at = authority.lastIndexOf("@") + 1;
  return `${authority.slice(0, at)}${change(authority.slice(at))}`;
}

/**
 * A connection string as a provider shows it (`…@host/neondb?sslmode=require&channel_binding=require`), as the backend
 * takes it: it names its database itself, refuses a path and most parameters, and always checks certificates
 * (contract 1.4). A pooler between the two would take the session's settings from a backend that pools by itself.
 * @throws ActionError `database-url-invalid`
 */
export function backendDatabase(text: string, instanceName: string): BackendDatabase {
  const [, start = "", authority = "", rest = ""] = /^(postgres(?:ql)?:\/\/)([^/?#]*)(.*)$/is.exec(text) ?? [];
  const notices: string[] = [];
  const direct = withHost(authority, (host) => host.replace(NEON_POOLER, "$1$2"));
  if (direct !== authority)
    notices.push(
      "postgres-url: Neon's direct address is used in place of its pooler's: the backend keeps connections by itself.",
    );
  // With an @ in the rest, the password holds a character that has to be escaped: then nothing is cut, and it is told.
  const whole = start === "" || (!authority.includes("@") && rest.includes("@"));
  const { kept, dropped } = parametersOf(whole ? "" : rest);
  const url = whole ? text : `${start}${direct}${kept.length === 0 ? "" : `?${kept.join("&")}`}`;
  const target = checkPostgresUrl(url, instanceName, { requireSsl: true });
  const { database } = target;
  if (dropped.length > 0) {
    notices.push(
      `postgres-url: ${dropped.join(", ")} left out: the backend takes few parameters, and always checks the server's certificate.`,
    );
  }
  const named = unescaped(/^\/([^?#]+)/.exec(rest)?.[1]);
  if (named !== undefined && named !== database) {
    notices.push(
      `postgres-url names the database ${JSON.stringify(named)}; the backend opens "${database}", after its instance name.`,
    );
  }
  return { url, database, target, named, notices };
}

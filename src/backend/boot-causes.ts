/** Why a backend ended: what its own words mean, and what to do. */
export interface Cause {
  /** Continues "The backend stopped …: "; without a full stop. */
  readonly why: string;
  readonly hint: string;
  /** Code of the error where it is not `backend-exited`. */
  readonly code?: string;
}

/** Text of the log, and what it means. `$1` in either text is the pattern's first group. */
interface Rule {
  readonly pattern: RegExp;
  readonly why: string;
  readonly hint: string;
  readonly code?: string;
}

const DATABASE_HINT =
  "Check postgres-url (or mysql-url), and that the database server can be reached from where the backend runs.";
const CERTIFICATE_HINT =
  "The certificate is always checked with its host name: name the authority's file in PG_CA_FILE (backend-env), or give backend-env DO_NOT_REQUIRE_SSL=true and ?sslmode=disable in the URL together to go without TLS.";
const SPACE_HINT =
  "Free space where the data is kept (runner temp directory, volume or data), then start again; nothing acknowledged is lost.";

/** Most telling first: several may match, since what comes after the first fault is noise (contract 1.3, 1.4, 1.6, 1.9, 9). */
const RULES: readonly Rule[] = [
  {
    pattern: /Could not start (?:backend|backend_http_proxy) on (\S+?):(\d+): Cannot assign requested address/,
    why: "$1 is no address of this machine",
    hint: "Correct bind: 127.0.0.1, or 0.0.0.0 for all addresses.",
  },
  {
    pattern: /Could not start (?:backend|backend_http_proxy) on (\S+?):(\d+): Permission denied/,
    why: "port $2 may not be opened",
    hint: "Choose a port from 1024 on, or 0 for any free one.",
  },
  {
    pattern: /Could not start (?:backend|backend_http_proxy) on (\S+?):(\d+)/,
    why: "port $2 on $1 is in use",
    hint: "Free it, or set port: 0 and site-port: 0 to let the backend take free ports.",
    code: "port-taken",
  },
  {
    pattern: /Couldn't hexdecode key|Hex-decoded key was (\d+) bytes/,
    why: "the instance secret is not 64 hex digits",
    hint: "Give instance-secret exactly 64 hex digits (openssl rand -hex 32), or leave it out.",
  },
  {
    pattern: /Origin url should start with https?:\/\//,
    why: "an origin does not begin with http:// or https://",
    hint: "Correct cloud-origin and site-origin: scheme and host, without a slash at the end.",
  },
  {
    pattern: /Database was initialized with Some\((Local|S3).*?but backend started up with (Local|S3)/,
    why: "the database was made with $1 storage, and was started with $2; the kind is fixed at the first start",
    hint: "Start it with the storage it was made with (S3_* in backend-env), or take another database and import an export.",
  },
  {
    pattern: /Cannot use s3 storage path (\S+) with (\S+)/,
    why: "the database keeps its files in S3 under $1, which belongs to another instance name than $2",
    hint: "Start it under the instance-name it was made with.",
  },
  {
    pattern: /Transition too old/,
    why: "the database is from a release before 2025-02-24, too old for this one to migrate",
    hint: "Start it once with a release from March to May 2025, then with this one.",
  },
  {
    pattern: /FATAL:\s+database "([^"]*)" does not exist/,
    why: 'database "$1" does not exist',
    hint: "Create it (quoted, as Postgres folds names), or set create-database: true.",
  },
  {
    pattern: /Unknown database '([^']*)'/,
    why: 'database "$1" does not exist',
    hint: "Create it: its name is the instance name with each - as _.",
  },
  {
    pattern: /FATAL:\s+password authentication failed for user "([^"]*)"|Access denied for user '([^']*)'/,
    why: 'the database server refuses user "$1" or the password',
    hint: "Check user and password in the URL; special characters in the password must be percent-encoded.",
  },
  {
    pattern: /invalid configuration: password missing/,
    why: "the database server wants a password, and the URL has none",
    hint: "Put it into postgres-url: postgresql://user:password@host:port.",
  },
  {
    pattern:
      /FATAL:\s+(permission denied for database.*|database .* is not currently accepting connections|remaining connection slots.*|sorry, too many clients.*)/,
    why: "the database server refuses the connection: $1",
    hint: "Give the user CONNECT on the database; for too many connections set POSTGRES_MAX_CONNECTIONS in backend-env below the server's limit.",
  },
  {
    pattern: /permission denied for schema public/,
    why: "the database user may not create tables in schema public",
    hint: "Make the user owner of the database, or GRANT CREATE ON SCHEMA public to it (from Postgres 15 on others do not have it).",
  },
  {
    pattern: /column "ts" of relation "documents" does not exist/,
    why: "the database already has another program's table named documents",
    hint: "Give the backend a database of its own.",
  },
  {
    pattern: /database does not allow writes/,
    why: "the database server is read-only (a replica)",
    hint: "Name the primary in postgres-url.",
  },
  {
    pattern: /server does not support TLS|Client asked for SSL but server does not have this capability/,
    why: "the database server offers no TLS, and the backend demands it",
    hint: "Turn TLS on in the server, or set DO_NOT_REQUIRE_SSL=true in backend-env for a server on the same network.",
  },
  {
    pattern: /invalid peer certificate: (.*)$|(UnknownIssuer|CaUsedAsEndEntity|NotValidForName|invalid dns name)/m,
    why: "the certificate of the database server is not accepted: $1",
    hint: CERTIFICATE_HINT,
  },
  {
    pattern: /Failed to read CA file: (\S+?):? /,
    why: "the file $1 of PG_CA_FILE cannot be read",
    hint: "PG_CA_FILE names a file where the backend runs; leave it out to use the system's authorities.",
  },
  {
    pattern: /error performing TLS handshake/,
    why: "the TLS handshake with the database server failed",
    hint: CERTIFICATE_HINT,
  },
  {
    pattern: /server did not use channel binding/,
    why: "the URL asks for channel binding, which the backend cannot do",
    hint: "Leave channel_binding=require out of postgres-url.",
  },
  {
    pattern: /near 'SHARE' at line 1/,
    why: "the server is MariaDB, which does not know FOR SHARE",
    hint: "Use MySQL 8, Postgres, or no database server (SQLite).",
  },
  {
    pattern: /Unknown connection URL parameter `([^']*)'|unknown option `([^`?]*)`/,
    why: "the database URL has a parameter that the backend does not know: $1",
    hint: "Leave it out; docs/troubleshooting.md lists what is taken.",
  },
  {
    pattern:
      /cluster url already contains db name|cluster url username must be set|relative URL without a base|invalid port number|empty host|invalid postgres connection url|Unsupported connection URL scheme/,
    why: "it does not accept the database URL ($0)",
    hint: "The form is postgresql://user:password@host:port, without a database name; special characters percent-encoded.",
  },
  {
    pattern: /Database Timeout \(Postgres\)/,
    why: "the database server takes connections and does not answer",
    hint: DATABASE_HINT,
  },
  {
    pattern: /error connecting to server(?:: (.*))?$|Input\/output error: (.*)$/m,
    why: "the database server cannot be reached: $1",
    hint: DATABASE_HINT,
  },
  {
    // The server's own words about its own disk.
    pattern: /could not (?:extend|write to) file .*No space left on device|could not extend file/,
    why: "the disk of the database server is full",
    hint: "Free space there.",
  },
  {
    pattern:
      /database or disk is full|SQLITE_FULL|No space left on device|ENOSPC|not enough space on the disk|os error (?:28|112)\b/,
    why: "the disk is full",
    hint: SPACE_HINT,
  },
  {
    pattern: /Lease Lost/,
    why: "another backend was started on the same database and took it over",
    hint: "Give every backend a database of its own: two on one end each other.",
  },
  {
    pattern: /Write failed\. Unsure if transaction committed/,
    why: "a write to the database failed (connection lost or none left)",
    hint: "Look at the database server's log; set POSTGRES_MAX_CONNECTIONS in backend-env below its limit.",
  },
  {
    pattern: /missing _tables\.by_id global/,
    why: "the database file exists and is empty",
    hint: "Delete db.sqlite3 in data, so that the backend makes it itself.",
  },
  {
    pattern: /database disk image is malformed/,
    why: "the database file is damaged, as a copy made while a backend was running is",
    hint: "Copy the data again while no backend runs, or start from an export.",
  },
  {
    pattern: /file is not a database/,
    why: "the database file is no SQLite database",
    hint: "Check what lies in data.",
  },
  {
    pattern: /unable to open database file: (\S+)/,
    why: "the database file $1 cannot be opened",
    hint: "Check that its directory exists and may be written.",
  },
  {
    pattern: /attempt to write a readonly database|readonly database/,
    why: "the database file may not be written",
    hint: "Give the backend's user the right to write it and its directory.",
  },
  {
    pattern: /(S3_\w+|AWS_\w+) env variables? (?:is|must be|are) (?:required|set)|AWS env variables are required/,
    why: "a variable for S3 storage is missing ($1)",
    hint: "Set AWS_REGION, the credentials and all five S3_STORAGE_*_BUCKET in backend-env, or none of them.",
  },
  {
    pattern: /No such file or directory \(os error 2\) at path "([^"]*)\/\.tmp/,
    why: "the directory for temporary files, $1, does not exist",
    hint: "Create it, or leave TMPDIR out of backend-env.",
  },
  {
    pattern: /Not a directory \(os error 20\)/,
    why: "the storage path is a file",
    hint: "Check what lies in data: storage must be a directory.",
  },
  {
    pattern: /invalid value '([^']*)' for '--disable-beacon'/,
    why: "DISABLE_BEACON is set to something that is no boolean",
    hint: "Leave DISABLE_BEACON out; the beacon is off by default.",
  },
  {
    pattern: /Permission denied \(os error 13\)/,
    why: "it may not write its data directory",
    hint: "Give the backend's user the right to write data.",
  },
  {
    // Linux hands a file that it cannot execute to the shell, which reads it as a script.
    pattern: /ELF.*not found|Syntax error: |syntax error near|[Cc]annot execute binary file|Exec format error/,
    why: "the file is no program for this kind of processor",
    hint: "Check binary-path: the release's asset must be the one for this runner's system and processor.",
  },
  {
    pattern: /version `?GLIBC_[\d.]+'? not found|GLIBC_/,
    why: "the binary needs a newer C library than this system has",
    hint: "Use a newer runner image, or runtime: docker.",
  },
  {
    pattern: /error: the argument '([^' ]+)[^']*' cannot be used multiple times/,
    why: "the option $1 is given twice",
    hint: "Leave the variable of that name out of backend-env.",
  },
  {
    pattern: /^error: (.*)$/m,
    why: "it does not understand its options ($1)",
    hint: "This release may be older or newer than this action version supports; name another in version.",
  },
];

function fill(text: string, match: RegExpExecArray): string {
  const [whole, ...groups] = match;
  const first = groups.find((group) => group !== undefined && group !== "");
  return text
    .replace("$0", whole)
    .replace("$1", groups[0] ?? first ?? "cause in the log")
    .replace("$2", groups[1] ?? "");
}

/** The most telling cause that the log names; `lines` without colours. */
export function causeOf(lines: readonly string[]): Cause | undefined {
  const text = lines.join("\n");
  for (const { pattern, why, hint, code } of RULES) {
    const match = pattern.exec(text);
    if (match !== null) return { why: fill(why, match), hint, ...(code === undefined ? {} : { code }) };
  }
  return undefined;
}

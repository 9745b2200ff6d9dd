import { readS3Settings } from "../backend/s3-settings.ts";
import { secretDefect } from "../credentials/instance-secret.ts";
import { countOf } from "../deployment/connection-lines.ts";
import { parseVariables } from "../deployment/env-text.ts";
import { ActionError } from "../runner/errors.ts";
import { publicHost, refused } from "./host.ts";

/** What the lines of a connection say of the backend: the settings file that it is started with. */
export interface Settings {
  /** `https://host`, in small letters. */
  readonly cloudOrigin: string | undefined;
  /** The same, or with the path `/http`. */
  readonly siteOrigin: string | undefined;
  readonly instanceName: string | undefined;
  readonly instanceSecret: string | undefined;
  readonly postgresUrl: string | undefined;
  /** Settings that the backend takes as they are, S3 storage above all. */
  readonly others: ReadonlyMap<string, string>;
  /** For whoever wonders where a line went; names only. */
  readonly notices: readonly string[];
}

/** Settings that the action itself has to understand. */
const OWN = ["CONVEX_CLOUD_ORIGIN", "CONVEX_SITE_ORIGIN", "INSTANCE_NAME", "INSTANCE_SECRET", "POSTGRES_URL"];

/** Settings that go to the backend as they are; what else a file holds is no business of the backend. */
const OF_BACKEND = [
  /^AWS_[A-Z0-9_]+$/,
  /^S3_(ENDPOINT_URL|STORAGE_[A-Z_]+)$/,
  /^STORAGE_MAX_INTERMEDIATE_PART_SIZE$/,
  /^(POSTGRES_MAX_CONNECTIONS|PG_CA_FILE|DO_NOT_REQUIRE_SSL|DOCUMENT_RETENTION_DELAY|REDACT_LOGS_TO_CLIENT)$/,
  /^(APPLICATION_MAX_CONCURRENT_[A-Z0-9_]+|(V8_ACTION|NODE_ACTION|ACTIONS)_USER_TIMEOUT_SECS|HTTP_SERVER_TIMEOUT_SECONDS)$/,
  /^(DISABLE_BEACON|DISABLE_METRICS_ENDPOINT|RUST_LOG|RUST_BACKTRACE)$/,
];

const invalid = (what: string, hint: string): ActionError => new ActionError("connection-invalid", what, hint);

/** Whatever names a thing twice does not say which one is meant; nor does a database under a name that is not passed on. */
function checkNames(text: string, variables: Iterable<readonly [name: string, value: string]>): void {
  for (const [name, value] of variables) {
    if (name !== "POSTGRES_URL" && /^(postgres(ql)?|mysql):\/\//i.test(value)) {
      throw invalid(
        `connection names a database by ${name}, which this action does not pass on: the backend would keep its data elsewhere.`,
        "Name a Postgres server by POSTGRES_URL, or leave the line out.",
      );
    }
    if (countOf(name, text) > 1) {
      throw invalid(
        `connection sets ${name} more than once, so it does not say which one is meant.`,
        "Leave one of the lines in it.",
      );
    }
  }
}

/** Platforms read the lines in ways of their own: some take quotes off, and all end a value at its line's end. */
function checkValue(name: string, value: string): void {
  const why = /[\r\n]/.test(value)
    ? "has a line break in it"
    : /^["'`]|["'`]$/.test(value)
      ? "begins or ends with a quote"
      : /\$\{\w+\}/.test(value)
        ? "is made of another variable"
        : undefined;
  if (why === undefined) return;
  throw invalid(
    `${name} in connection ${why}, which platforms do not take as it is.`,
    "Write the value itself, on one line, in one pair of quotes at most.",
  );
}

function checkedSecret(secret: string | undefined): string | undefined {
  const why = secret === undefined ? undefined : secretDefect(secret);
  if (why === undefined) return secret;
  throw invalid(
    `INSTANCE_SECRET in connection is not 64 hex digits: ${why}.`,
    "Make one with `openssl rand -hex 32`, or copy it from where the backend has it.",
  );
}

function originOf(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, host, path = ""] = /^https:\/\/([^/]+)(\/http)?\/?$/i.exec(value) ?? [];
  const source = `${name} in connection`;
  if (host === undefined || (path !== "" && name !== "CONVEX_SITE_ORIGIN")) {
    throw refused(source, value, "it is no https:// address of a host alone", "Write it as https://api.example.com.");
  }
  return `https://${publicHost(source, host, "Write it as https://api.example.com.")}${path.toLowerCase()}`;
}

/**
 * Reads the lines strictly, since one that is passed over would be missing in the backend.
 * @throws ActionError `connection-invalid`, `env-unreadable`, `input-invalid`, `s3-settings-invalid`
 */
export function parseSettings(text: string): Settings {
  const { variables, notices } = parseVariables(text, "connection");
  const given = [...variables]
    .map(([name, value]) => [name, value.trim()] as const)
    .filter(([, value]) => value !== "");
  checkNames(text, given);
  const values = new Map<string, string>(given);
  const others = new Map(given.filter(([name]) => OF_BACKEND.some((pattern) => pattern.test(name))));
  for (const [name, value] of given) if (OWN.includes(name) || others.has(name)) checkValue(name, value);
  readS3Settings(Object.fromEntries(others), "connection");
  const left = given.map(([name]) => name).filter((name) => !OWN.includes(name) && !others.has(name));
  return {
    cloudOrigin: originOf("CONVEX_CLOUD_ORIGIN", values.get("CONVEX_CLOUD_ORIGIN")),
    siteOrigin: originOf("CONVEX_SITE_ORIGIN", values.get("CONVEX_SITE_ORIGIN")),
    instanceName: values.get("INSTANCE_NAME"),
    instanceSecret: checkedSecret(values.get("INSTANCE_SECRET")),
    postgresUrl: values.get("POSTGRES_URL"),
    others,
    notices: [
      // What the parser says of names for the CLI holds for functions only.
      ...notices.filter((text) => text.includes("ends before the #")),
      ...(left.length === 0
        ? []
        : [`connection: ${left.join(", ")} not passed on to the backend: docs/platforms.md has what is.`]),
    ],
  };
}

/** Secret settings of a backend as `flyctl secrets import` and `kubectl create secret --from-env-file` take them. */
export function settingLines(
  own: { readonly instanceSecret: string | undefined; readonly postgresUrl: string | undefined },
  others: ReadonlyMap<string, string>,
): string {
  const lines = [["INSTANCE_SECRET", own.instanceSecret], ["POSTGRES_URL", own.postgresUrl], ...others] as const;
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])).join("\n");
}

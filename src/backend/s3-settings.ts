import { ActionError } from "../runner/errors.ts";
import { BUCKET_RULE, isBucketName } from "../store/bucket-name.ts";

/** A bucket that the backend will use, and the variables that name it. */
export interface Bucket {
  readonly name: string;
  readonly variables: readonly string[];
}

/** How the backend will talk to its buckets, as its own variables say it (contract 1.2, 1.9). */
export interface S3Settings {
  readonly region: string;
  /** Absent: AWS itself. */
  readonly endpoint?: URL;
  readonly pathStyle: boolean;
  /** Absent: the backend finds keys by itself (a metadata service, a file of its own). */
  readonly keys?: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
  /** `x-amz-server-side-encryption: AES256` with each upload. */
  readonly encrypts: boolean;
  /** CRC32 of each part and of the whole. */
  readonly checksums: boolean;
  readonly requestChecksums: "WHEN_SUPPORTED" | "WHEN_REQUIRED";
  readonly responseChecksums: "WHEN_SUPPORTED" | "WHEN_REQUIRED";
  /** Largest part of an upload but the last, in bytes, where it is limited. */
  readonly largestPart?: number;
  /** Each name once. */
  readonly buckets: readonly Bucket[];
}

type Variables = Readonly<Record<string, string>>;

export const BUCKET_VARIABLES = ["FILES", "MODULES", "SEARCH", "EXPORTS", "SNAPSHOT_IMPORTS"].map(
  (name) => `S3_STORAGE_${name}_BUCKET`,
);
const DECISIVE = ["AWS_REGION", ...BUCKET_VARIABLES];

const given = (env: Variables, name: string): boolean => (env[name] ?? "") !== "";

/** As the image's script decides (contract 1.2): S3 only when region and all five buckets are there. */
export const usesS3 = (env: Variables): boolean => DECISIVE.every((name) => given(env, name));

function invalid(message: string, hint: string): ActionError {
  return new ActionError("s3-settings-invalid", message, hint);
}

/** Only exactly `true` counts (contract 1.2). */
const flag = (env: Variables, name: string): boolean => env[name] === "true";

function readKeys(env: Variables, source: string): Pick<S3Settings, "keys"> {
  const [accessKeyId = "", secretAccessKey = ""] = [env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]];
  if (accessKeyId === "" && secretAccessKey === "") return {};
  if (accessKeyId === "" || secretAccessKey === "") {
    const missing = accessKeyId === "" ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY";
    throw invalid(
      `${source} holds one half of the keys for S3 storage; ${missing} is missing.`,
      "Set both, or none where the backend finds keys by itself.",
    );
  }
  const sessionToken = env["AWS_SESSION_TOKEN"] ?? "";
  return { keys: { accessKeyId, secretAccessKey, ...(sessionToken === "" ? {} : { sessionToken }) } };
}

function readEndpoint(env: Variables, source: string): Pick<S3Settings, "endpoint"> {
  // An empty one is taken for an endpoint, and every request fails (contract 1.9).
  const text = env["S3_ENDPOINT_URL"] ?? env["AWS_ENDPOINT_URL_S3"] ?? env["AWS_ENDPOINT_URL"];
  if (text === undefined) return {};
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw invalid(
      `S3_ENDPOINT_URL in ${source} is ${text === "" ? "empty" : "no http or https URL"}: the backend starts with it, and every request to the buckets fails.`,
      "Write it like https://s3.example.com; leave it out for AWS.",
    );
  }
  return { endpoint: new URL(text) };
}

/** What stores other than AWS may allow beyond S3's own rules; none allows a `/` or a blank. */
const LOOSE_NAME = /^[A-Za-z0-9._-]{1,255}$/;

/** A store answers such a name with whatever it takes it for: another bucket, a folder in one, or nothing. */
function checkNames(env: Variables, source: string, { endpoint }: Pick<S3Settings, "endpoint">): void {
  const fits = endpoint === undefined ? isBucketName : (name: string) => LOOSE_NAME.test(name);
  const odd = BUCKET_VARIABLES.filter((variable) => !fits(env[variable] ?? ""));
  const [first = ""] = odd;
  if (odd.length === 0) return;
  throw invalid(
    `${odd.join(", ")} in ${source}: ${JSON.stringify(env[first])} is no name that a bucket can have.`,
    `Allowed: ${BUCKET_RULE}. A prefix cannot be named: the backend makes its own in each bucket.`,
  );
}

/**
 * What the variables say of S3 storage; undefined where files stay local. Contacts nothing.
 * @param source the input that they come from, for errors
 * @throws ActionError `s3-settings-invalid`
 */
export function readS3Settings(env: Variables, source = "backend-env"): S3Settings | undefined {
  const strange = Object.keys(env).filter((name) => name.startsWith("S3_STORAGE_") && !BUCKET_VARIABLES.includes(name));
  if (strange.length > 0) {
    throw invalid(
      `${source} sets ${strange.join(", ")}, which the backend does not know, so it would keep its files elsewhere.`,
      `The five are ${BUCKET_VARIABLES.join(", ")}.`,
    );
  }
  if (!BUCKET_VARIABLES.some((name) => given(env, name))) return undefined;
  const missing = DECISIVE.filter((name) => !given(env, name));
  if (missing.length > 0) {
    throw invalid(
      `${source} sets only some of the variables for S3 storage, so the backend would keep its files locally; missing: ${missing.join(", ")}.`,
      "Set AWS_REGION and all five S3_STORAGE_*_BUCKET (one bucket may serve for all), or none of them.",
    );
  }
  const endpoint = readEndpoint(env, source);
  checkNames(env, source, endpoint);
  const names = [...new Set(BUCKET_VARIABLES.map((variable) => env[variable] ?? ""))];
  const largest = Number(env["STORAGE_MAX_INTERMEDIATE_PART_SIZE"]);
  const when = (name: string) => (/^when_required$/i.test(env[name] ?? "") ? "WHEN_REQUIRED" : "WHEN_SUPPORTED");
  return {
    region: env["AWS_REGION"] ?? "",
    ...endpoint,
    pathStyle: flag(env, "AWS_S3_FORCE_PATH_STYLE"),
    ...readKeys(env, source),
    encrypts: !flag(env, "AWS_S3_DISABLE_SSE"),
    checksums: !flag(env, "AWS_S3_DISABLE_CHECKSUMS"),
    requestChecksums: when("AWS_REQUEST_CHECKSUM_CALCULATION"),
    responseChecksums: when("AWS_RESPONSE_CHECKSUM_VALIDATION"),
    ...(Number.isInteger(largest) && largest > 0 ? { largestPart: largest } : {}),
    buckets: names.map((name) => ({ name, variables: BUCKET_VARIABLES.filter((variable) => env[variable] === name) })),
  };
}

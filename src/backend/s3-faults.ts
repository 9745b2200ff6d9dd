import { messageOf, systemCode } from "../runner/errors.ts";
import type { S3Settings } from "./s3-settings.ts";

/** Why a bucket does not do; the bucket itself is named by who reports it. */
export interface BucketFault {
  readonly code: string;
  /** Half a sentence: `there is no such bucket`. */
  readonly what: string;
  readonly hint: string;
}

/** The requests of a check, in their order. */
export type Operation =
  | "CreateMultipartUpload"
  | "UploadPart"
  | "CompleteMultipartUpload"
  | "HeadObject"
  | "GetObject"
  | "DeleteObject";

const RIGHTS = "s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects";

const KEYS_REFUSED =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired|InvalidSecurity|AuthFailure|UnrecognizedClientException|XAdminUserNotFound)$/i;
const WRONG_REGION =
  /^(AuthorizationHeaderMalformed|PermanentRedirect|TemporaryRedirect|IllegalLocationConstraintException)$/;
const TLS = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/;

/** A store that does once the backend is told to do without something. */
const needs = (what: string, ...settings: readonly string[]): BucketFault => ({
  code: "s3-needs-setting",
  what,
  hint: `Add ${settings.join(" and ")} to backend-env.`,
});

export const faultOfParts = needs(
  "it takes only parts of equal length, as Cloudflare R2 does, so files and exports above 15 MiB would fail",
  "STORAGE_MAX_INTERMEDIATE_PART_SIZE=5242880",
);

export const faultOfEncryption = needs(
  "it refuses uploads that ask for server-side encryption",
  "AWS_S3_DISABLE_SSE=true",
);

export const faultOfChecksums = needs(
  "it does not do the checksums that the backend asks for",
  "AWS_S3_DISABLE_CHECKSUMS=true",
);

export const faultOfBoth = needs(
  "it does neither the encryption nor the checksums that the backend asks for",
  "AWS_S3_DISABLE_SSE=true",
  "AWS_S3_DISABLE_CHECKSUMS=true",
);

export const faultOfPartChecksums = needs(
  "it refuses parts that carry a checksum",
  "AWS_S3_DISABLE_CHECKSUMS=true",
  "AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
);

export function faultOfContent(what: string): BucketFault {
  return {
    code: "s3-damaged",
    what: `it gave back something else than what was stored (${what})`,
    hint: "Whatever stands between this job and the store changes bodies, or the store is not one: try it with another client.",
  };
}

/** What the answer of a store says, as far as it is an answer. */
export function statusOf(error: unknown): number | undefined {
  const metadata = error instanceof Error && "$metadata" in error ? error.$metadata : undefined;
  const status =
    typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata
      ? metadata.httpStatusCode
      : undefined;
  return typeof status === "number" ? status : undefined;
}

const shortened = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text.replace(/\.+$/, ""));

/** Names what a request failed with (contract 1.9). */
export function faultOf(error: unknown, operation: Operation, settings: S3Settings): BucketFault {
  const name = error instanceof Error ? error.name : "";
  const said = shortened(messageOf(error));
  const status = statusOf(error);
  if (status === undefined || status === 0) return unreachable(error, settings);
  if (name === "NoSuchBucket") {
    return {
      code: "s3-bucket-missing",
      what: `there is no bucket of that name at ${placeOf(settings)}`,
      hint: "Create it, or correct the name in backend-env.",
    };
  }
  if (KEYS_REFUSED.test(name)) {
    return {
      code: "s3-keys-refused",
      what: `the store refuses the keys (${name}: ${said})`,
      hint: "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary keys, AWS_SESSION_TOKEN in backend-env.",
    };
  }
  if (WRONG_REGION.test(name) || status === 301) {
    return {
      code: "s3-region-wrong",
      what: `it is not in region ${settings.region} (${name}: ${said})`,
      hint: "Set AWS_REGION in backend-env to the bucket's region.",
    };
  }
  if (name === "AccessDenied" || status === 403) {
    return {
      code: "s3-access-denied",
      what: `the keys may not do ${operation} there`,
      hint: `Allow ${RIGHTS}.`,
    };
  }
  return {
    code: "s3-refused",
    what: `${operation} is refused with ${status} ${name}: ${said}`,
    hint: "Its text names what to change; where it is no S3 store that answers, correct S3_ENDPOINT_URL.",
  };
}

export function placeOf({ endpoint, region }: S3Settings): string {
  return endpoint === undefined ? `AWS (${region})` : endpoint.origin;
}

export const isUnknownName = (error: unknown): boolean => ["ENOTFOUND", "EAI_AGAIN"].includes(systemCode(error) ?? "");

function unreachable(error: unknown, settings: S3Settings): BucketFault {
  const code = systemCode(error) ?? "";
  const what = `${placeOf(settings)} cannot be reached (${shortened(messageOf(error))})`;
  if (isUnknownName(error) && !settings.pathStyle) {
    return {
      code: "s3-unreachable",
      what,
      hint: "The bucket's name stands in front of the host name: add AWS_S3_FORCE_PATH_STYLE=true to backend-env where the store knows no such names.",
    };
  }
  if (TLS.test(code)) {
    return {
      code: "s3-unreachable",
      what,
      hint: "Correct the certificate, or the scheme of S3_ENDPOINT_URL: the backend checks certificates too.",
    };
  }
  return {
    code: "s3-unreachable",
    what,
    hint: "Check S3_ENDPOINT_URL, and that the store was ready before this step.",
  };
}

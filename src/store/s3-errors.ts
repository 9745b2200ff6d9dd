import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import { full, locked, missing, refused, unreachable, unsupported } from "./faults.ts";

/** What a failed request says, whichever of the SDK's shapes it has. */
export interface S3Fault {
  /** S3's own code, such as `NoSuchBucket`; `Unknown` where an answer had no body. */
  readonly name: string;
  readonly status: number | undefined;
}

export function faultOf(failure: unknown): S3Fault {
  if (typeof failure !== "object" || failure === null) return { name: "Unknown", status: undefined };
  const { name, $metadata } = failure as { name?: unknown; $metadata?: { httpStatusCode?: unknown } };
  const status = $metadata?.httpStatusCode;
  return {
    name: typeof name === "string" ? name : "Unknown",
    status: typeof status === "number" ? status : undefined,
  };
}

interface Place {
  readonly location: string;
  readonly bucket: string;
  readonly region: string;
  readonly endpoint: string | undefined;
}

type Explain = (place: Place, said: string, cause: { readonly cause: unknown }) => ActionError;

const wrongKey: Explain = ({ location }, said, cause) =>
  refused(
    `${location} does not know the access key: ${said}.`,
    "Check AWS_ACCESS_KEY_ID and that it belongs to this store; deleted keys answer the same.",
    cause,
  );

const expired: Explain = ({ location }, said, cause) =>
  refused(
    `${location}: the credentials have expired: ${said}.`,
    "Let the step that gets them (OIDC) come right before this one, with a duration as long as the backup takes.",
    cause,
  );

const wrongRegion: Explain = ({ bucket, region }, said, cause) =>
  refused(
    `Bucket ${bucket} is not in region ${region}: ${said}.`,
    "Set s3-region to the bucket's region; for a store of your own to the one it is set up with.",
    cause,
  );

const throttled: Explain = ({ location }, said, cause) => unreachable(location, `it is overloaded (${said})`, cause);

const spaceless: Explain = ({ location }, said, cause) => full(location, said, cause);

const BY_NAME: Readonly<Record<string, Explain>> = {
  NoSuchBucket: ({ bucket, endpoint }, _, cause) =>
    refused(
      `There is no bucket ${bucket}${endpoint === undefined ? "" : ` at ${endpoint}`}.`,
      "Create it first, or correct the name; for a store that is not AWS set s3-endpoint.",
      cause,
    ),
  InvalidBucketName: ({ bucket }, said, cause) =>
    refused(`The store takes no bucket named ${bucket}: ${said}.`, "Correct the name.", cause),
  SignatureDoesNotMatch: ({ location }, _, cause) =>
    refused(
      `${location} does not accept the signature: the secret key is wrong, or cut off.`,
      "Check AWS_SECRET_ACCESS_KEY; a proxy that changes headers or paths has the same effect.",
      cause,
    ),
  InvalidAccessKeyId: wrongKey,
  XAdminUserNotFound: wrongKey,
  InvalidToken: expired,
  InvalidClientTokenId: wrongKey,
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  TokenRefreshRequired: expired,
  RequestTimeTooSkewed: ({ location }, _, cause) =>
    refused(
      `${location} refuses requests of this machine, because its clock differs from the store's by more than 15 minutes.`,
      "Set the clock of the runner (NTP), or that of the store.",
      cause,
    ),
  RequestExpired: ({ location }, said, cause) =>
    refused(`${location}: the clocks of this machine and of the store differ: ${said}.`, "Set them by NTP.", cause),
  AuthorizationHeaderMalformed: wrongRegion,
  PermanentRedirect: wrongRegion,
  AuthorizationQueryParametersError: wrongRegion,
  IllegalLocationConstraintException: wrongRegion,
  CredentialsProviderError: ({ location }, said, cause) =>
    refused(
      `There are no credentials for ${location}: ${said}.`,
      "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the step's env:, or run aws-actions/configure-aws-credentials (OIDC) before it. Runs of forks and Dependabot get no secrets.",
      cause,
    ),
  NoSuchKey: ({ location }, _, cause) => missing(location, "such object", "Look at what the bucket holds.", cause),
  NotImplemented: ({ location }, said, cause) =>
    unsupported(location, `do what is asked (${said})`, "Use a store that speaks S3 with conditional writes.", cause),
  SlowDown: throttled,
  ServiceUnavailable: throttled,
  TooManyRequests: throttled,
  QuotaExceeded: spaceless,
  InsufficientStorage: spaceless,
  XMinioStorageFull: spaceless,
  XMinioAdminBucketQuotaExceeded: spaceless,
  StorageCapExceeded: spaceless,
  EntityTooLarge: spaceless,
  ObjectLocked: ({ location }, _, cause) => locked(location, ["an object"], "that the store names", cause),
};

/**
 * The error for a failed request.
 * @param doing what was asked for, as in "may not …": `list objects`, `write <key>`
 */
export function explain(failure: unknown, place: Place, doing: string): unknown {
  if (failure instanceof ActionError) return failure;
  const { name, status } = faultOf(failure);
  const cause = { cause: failure };
  const text = messageOf(failure);
  const said = text === "UnknownError" ? `HTTP status ${status}` : text.replace(/\.$/, "");
  const known = BY_NAME[name];
  if (known !== undefined) return known(place, said, cause);
  if (status === 507) return spaceless(place, said, cause);
  if (status === 301 || status === 307) return wrongRegion(place, said, cause);
  if (status === 501) {
    return unsupported(
      place.location,
      `${doing} (${said})`,
      "Use a store that speaks S3 with conditional writes.",
      cause,
    );
  }
  if (status === 401 || status === 403) {
    return refused(
      `These credentials may not ${doing} in ${place.location}: ${said}.`,
      "Check the rights of the key or role (docs/stores.md lists those needed), the bucket's policy, and the secret key.",
      cause,
    );
  }
  if (status !== undefined && status < 500) {
    return refused(`${place.location} refuses to ${doing}: ${name}: ${said}.`, "Do what the quoted text names.", cause);
  }
  const code = systemCode(failure) ?? name;
  return unreachable(place.location, `${doing}: ${said}${said.includes(code) ? "" : ` (${code})`}`, cause);
}

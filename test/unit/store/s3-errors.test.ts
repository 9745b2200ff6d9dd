import { describe, expect, it } from "vitest";
import { ActionError } from "../../../src/runner/errors.ts";
import { explain } from "../../../src/store/s3-errors.ts";

const PLACE = { location: "s3://backups/prod", bucket: "backups", region: "eu-central-1", endpoint: undefined };

function fault(name: string, status: number | undefined, message: string, code?: string): Error {
  const error = Object.assign(
    new Error(message),
    { $metadata: { httpStatusCode: status } },
    code === undefined ? {} : { code },
  );
  error.name = name;
  return error;
}

/** Answers of S3 and of stores that speak it, which no local server gives. */
describe("what a store answers", () => {
  it.each([
    [
      fault("AccessDenied", 403, "User: arn:x is not authorized to perform: s3:PutObject."),
      "store-refused",
      /may not write x in s3:\/\/backups\/prod: User: arn:x .*s3:PutObject\.$/,
    ],
    [fault("ExpiredToken", 400, "The provided token has expired."), "store-refused", /credentials have expired/],
    [
      fault("InvalidAccessKeyId", 403, "does not exist in our records"),
      "store-refused",
      /does not know the access key/,
    ],
    [
      fault("PermanentRedirect", 301, "must be addressed using the specified endpoint"),
      "store-refused",
      /not in region eu-central-1/,
    ],
    [fault("Unknown", 301, "UnknownError"), "store-refused", /not in region eu-central-1: HTTP status 301\.$/],
    [fault("RequestTimeTooSkewed", 403, "too large"), "store-refused", /clock differs/],
    [
      fault("SlowDown", 503, "Reduce your request rate."),
      "store-unreachable",
      /overloaded \(Reduce your request rate\)/,
    ],
    [fault("InternalError", 500, "We encountered an internal error"), "store-unreachable", /internal error/],
    [
      fault("XMinioStorageFull", 507, "Storage backend has reached its minimum free drive threshold."),
      "store-full",
      /threshold\./,
    ],
    [fault("QuotaExceeded", 403, "bucket quota"), "store-full", /bucket quota/],
    [
      fault("NotImplemented", 501, "A header you provided implies functionality"),
      "store-unsupported",
      /cannot do what is asked/,
    ],
    [fault("InvalidArgument", 400, "odd"), "store-refused", /refuses to write x: InvalidArgument: odd\.$/],
    [
      fault("Error", undefined, "connect ECONNREFUSED 10.0.0.1:443", "ECONNREFUSED"),
      "store-unreachable",
      /connect ECONNREFUSED 10\.0\.0\.1:443\.$/,
    ],
    [
      fault("Error", undefined, "self-signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT"),
      "store-unreachable",
      /\(DEPTH_ZERO_SELF_SIGNED_CERT\)\.$/,
    ],
  ] as const)("%s", (failure, code, message) => {
    const found = explain(failure, PLACE, "write x");
    expect(found).toBeInstanceOf(ActionError);
    expect(found).toMatchObject({ code, message: expect.stringMatching(message), cause: failure });
    // The first line is what an annotation shows.
    expect((found as ActionError).message).not.toMatch(/\.\.|undefined/);
    expect((found as ActionError).hint).toMatch(/\.$/);
  });

  it("is left alone when it has been explained", () => {
    const known = new ActionError("store-exists", "x.", "y.");
    expect(explain(known, PLACE, "write x")).toBe(known);
  });
});

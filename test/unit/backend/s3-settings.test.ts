import { describe, expect, it } from "vitest";
import { BUCKET_VARIABLES, readS3Settings, usesS3 } from "../../../src/backend/s3-settings.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const ALL = {
  AWS_REGION: "eu-west-1",
  AWS_ACCESS_KEY_ID: "AKIA",
  AWS_SECRET_ACCESS_KEY: "secret",
  ...Object.fromEntries(BUCKET_VARIABLES.map((name) => [name, "one"])),
};

function refusal(env: Readonly<Record<string, string>>): ActionError {
  try {
    readS3Settings(env);
  } catch (error) {
    if (error instanceof ActionError) return error;
    throw error;
  }
  throw new Error("not refused");
}

describe("readS3Settings", () => {
  it("finds no S3 storage where no bucket is named", () => {
    expect(readS3Settings({ AWS_REGION: "eu-west-1", S3_STORAGE_FILES_BUCKET: "" })).toBeUndefined();
    expect(usesS3({ AWS_REGION: "eu-west-1" })).toBe(false);
  });
  it("names each bucket once, with the variables that name it", () => {
    expect(usesS3(ALL)).toBe(true);
    expect(readS3Settings({ ...ALL, S3_STORAGE_SEARCH_BUCKET: "two" })?.buckets).toEqual([
      { name: "one", variables: BUCKET_VARIABLES.filter((name) => name !== "S3_STORAGE_SEARCH_BUCKET") },
      { name: "two", variables: ["S3_STORAGE_SEARCH_BUCKET"] },
    ]);
  });
  it.each([
    ["true", true],
    ["True", false],
    ["1", false],
    ["", false],
  ])("takes %j for %j, as the backend does", (value, on) => {
    const names = ["AWS_S3_FORCE_PATH_STYLE", "AWS_S3_DISABLE_SSE", "AWS_S3_DISABLE_CHECKSUMS"];
    const settings = readS3Settings({ ...ALL, ...Object.fromEntries(names.map((name) => [name, value])) });
    expect(settings).toMatchObject({ pathStyle: on, encrypts: !on, checksums: !on });
  });
  it("names all that is missing where only some is set", () => {
    const { AWS_REGION, S3_STORAGE_FILES_BUCKET, ...some } = ALL as Record<string, string>;
    expect([AWS_REGION, S3_STORAGE_FILES_BUCKET]).toEqual(["eu-west-1", "one"]);
    expect(refusal(some)).toMatchObject({ code: "s3-settings-invalid" });
    expect(refusal(some).message).toContain("missing: AWS_REGION, S3_STORAGE_FILES_BUCKET");
  });
  it("repeats no login of an endpoint that is none", () => {
    expect(refusal({ ...ALL, S3_ENDPOINT_URL: "ftp://user:topsecretpw@h" }).message).not.toContain("topsecretpw");
  });
  it("names variables that only look like those of the backend", () => {
    const message = refusal({ AWS_REGION: "eu-west-1", S3_STORAGE_BUCKET: "one" }).message;
    expect(message).toContain("sets S3_STORAGE_BUCKET, which the backend does not know");
  });
  it("leaves other stores their own rules, but no path in a name", () => {
    const elsewhere = { ...ALL, S3_ENDPOINT_URL: "http://localhost:9000" };
    expect(readS3Settings({ ...elsewhere, S3_STORAGE_FILES_BUCKET: "My_Uploads" })).toBeDefined();
    expect(refusal({ ...elsewhere, S3_STORAGE_FILES_BUCKET: "backups/prod" }).code).toBe("s3-settings-invalid");
  });
  it.each(["Uploads", "a_b", "ab", "backups/prod", "s3://backups", "10.0.0.1", "a..b", "-a-"])(
    "takes no bucket %j, and shows it with its variable",
    (name) => {
      const error = refusal({ ...ALL, S3_STORAGE_FILES_BUCKET: name });
      expect(error.code).toBe("s3-settings-invalid");
      expect(error.message).toBe(
        `S3_STORAGE_FILES_BUCKET in backend-env: ${JSON.stringify(name)} is no name that a bucket can have.`,
      );
      expect(error.hint).toContain("3 to 63 of a-z");
    },
  );
  it("takes no half of the keys, and none of them", () => {
    expect(refusal({ ...ALL, AWS_SECRET_ACCESS_KEY: "" }).message).toContain("AWS_SECRET_ACCESS_KEY is missing");
    expect(readS3Settings({ ...ALL, AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" })?.keys).toBeUndefined();
  });
  it.each([
    ["", "is empty"],
    ["s3.example.com", "no http or https URL"],
    ["ftp://s3.example.com", "no http or https URL"],
  ])("takes no endpoint %j", (S3_ENDPOINT_URL, why) => {
    expect(refusal({ ...ALL, S3_ENDPOINT_URL }).message).toContain(why);
  });
});

import { describe, expect, it } from "vitest";
import { Inputs } from "../../../src/runner/inputs.ts";
import { checkStoreSettings, parseDestination, readLockDays, readS3Inputs } from "../../../src/store/destination.ts";
import { openStore } from "../../../src/store/open.ts";
import { storeDeps } from "./support.ts";

const inputsOf = (values: Readonly<Record<string, string>>): Inputs => new Inputs((name) => values[name] ?? "");
const parse = (text: string) => parseDestination("destination", text, "/workspace");
const NO_S3 = { endpoint: undefined, region: undefined, forcePathStyle: false };

describe("a destination", () => {
  it.each([
    ["s3://backups", { kind: "s3", bucket: "backups", prefix: "" }],
    ["s3://backups/", { kind: "s3", bucket: "backups", prefix: "" }],
    ["s3://my.backups-1/prod/eu/", { kind: "s3", bucket: "my.backups-1", prefix: "prod/eu" }],
    ["s3://backups/a@b=c+d", { kind: "s3", bucket: "backups", prefix: "a@b=c+d" }],
    ["dir:backups", { kind: "directory", path: "/workspace/backups" }],
    ["dir:../x", { kind: "directory", path: "/x" }],
    ["dir:/mnt/disk/a b", { kind: "directory", path: "/mnt/disk/a b" }],
    ["artifact", { kind: "artifact", prefix: "" }],
    ["artifact:production", { kind: "artifact", prefix: "production" }],
    ["artifact:eu-1.chat_app", { kind: "artifact", prefix: "eu-1.chat_app" }],
  ])("may be %s", (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ["", "is not accepted"],
    ["s3:backups", "is not accepted"],
    ["S3://backups", "is not accepted"],
    ["gs://backups", "is not accepted"],
    ["s3://", "names no bucket"],
    ["s3:///prod", "names no bucket"],
    ["s3://Backups", "names no bucket"],
    ["s3://a_b", "names no bucket"],
    ["s3://a..b", "names no bucket"],
    ["s3://10.0.0.1/x", "names no bucket"],
    ["s3://ab", "names no bucket"],
    ["s3://backups//x", "odd parts"],
    ["s3://backups/../x", "odd parts"],
    ["s3://backups/a b", "odd parts"],
    ["s3://backups/x?region=eu", "has parameters"],
    ["dir:", "names no folder"],
    ["dir: ", "names no folder"],
    ["dir:~/backups", "only a shell knows"],
    ["./backups", "dir:./backups"],
    ["/backups", "dir:/backups"],
    ["https://s3.example.com/backups", "s3-endpoint"],
    ["artifact:", "artifact:production"],
    ["artifact:a/b", "odd characters"],
    ["artifact:a~b", "odd characters"],
    ["artifact:.hidden", "odd characters"],
    ["artifact/a", "is not accepted"],
    ["artifact:2026-11-22T03-00-04Z-0123abcd", "backup-id"],
  ])("is not %j", (text, why) => {
    const refused = expect.objectContaining({ code: "input-invalid" });
    expect(() => parse(text)).toThrow(refused);
    try {
      parse(text);
    } catch (failure) {
      expect((failure as { text: string }).text).toContain(why);
      expect((failure as { text: string }).text).toContain("destination:");
    }
  });

  it.each(["s3://AKIA123:hunter2hunter2@backups/x", "https://user:hunter2hunter2@s3.example.com/backups"])(
    "is refused without showing a login: %s",
    (text) => {
      expect(() => parse(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("hunter2") }));
    },
  );
});

describe("the s3-* inputs", () => {
  it("are read", () => {
    const read = readS3Inputs(
      inputsOf({
        "s3-endpoint": "https://abc.supabase.co/storage/v1/s3",
        "s3-region": "auto",
        "s3-force-path-style": "true",
      }),
    );
    expect(read).toEqual({ endpoint: "https://abc.supabase.co/storage/v1/s3", region: "auto", forcePathStyle: true });
    expect(readS3Inputs(inputsOf({}))).toEqual(NO_S3);
  });

  it.each([
    ["s3-endpoint", "minio:9000"],
    ["s3-endpoint", "s3.example.com"],
    ["s3-endpoint", "https://user:hunter2hunter2@s3.example.com"],
    ["s3-endpoint", "https://s3.example.com/?x=1"],
    ["s3-region", "EU Central"],
    ["s3-force-path-style", "yes"],
  ])("refuse %s: %s", (name, value) => {
    expect(() => readS3Inputs(inputsOf({ [name]: value }))).toThrow(
      expect.objectContaining({ code: "input-invalid", message: expect.not.stringContaining("hunter2") }),
    );
  });

  it("are a conflict without a bucket", () => {
    const settings = { ...NO_S3, destination: parse("dir:x"), region: "eu-central-1", forcePathStyle: true };
    expect(() => checkStoreSettings(settings, "destination")).toThrow(
      expect.objectContaining({
        code: "input-conflict",
        message: "s3-region, s3-force-path-style are set, but destination is no bucket.",
      }),
    );
    checkStoreSettings({ ...settings, destination: parse("s3://backups") }, "destination");
    checkStoreSettings({ ...NO_S3, destination: parse("artifact") }, "destination");
  });
});

describe("object-lock-days", () => {
  it("is a number of days for a bucket", () => {
    expect(readLockDays(inputsOf({ "object-lock-days": "30" }), parse("s3://backups"))).toBe(30);
    expect(readLockDays(inputsOf({}), parse("s3://backups"))).toBeUndefined();
  });

  it.each(["-1", "1.5", "3651", "forever"])("is not %s", (value) => {
    expect(() => readLockDays(inputsOf({ "object-lock-days": value }), parse("s3://backups"))).toThrow(
      expect.objectContaining({ code: "input-invalid" }),
    );
  });

  it("is a conflict without a bucket", () => {
    expect(() => readLockDays(inputsOf({ "object-lock-days": "3" }), parse("artifact"))).toThrow(
      expect.objectContaining({ code: "input-conflict" }),
    );
  });
});

describe("opening", () => {
  const S3 = { ...NO_S3, destination: parse("s3://backups/prod") };

  it("contacts nothing, masks the keys, and shows no credential", () => {
    const deps = storeDeps({
      AWS_REGION: "eu-central-1",
      AWS_SECRET_ACCESS_KEY: "hunter2-hunter2",
      AWS_SESSION_TOKEN: "token-token-1",
    });
    expect(openStore(S3, deps).location).toBe("s3://backups/prod");
    expect(deps.log.lines).toEqual(["mask: 15", "mask: 13"]);
    expect(openStore({ ...NO_S3, destination: parse("dir:x") }, deps).location).toBe("dir:/workspace/x");
  });

  it("asks for a region where none can be known", () => {
    expect(() => openStore(S3, storeDeps())).toThrow(expect.objectContaining({ code: "input-missing" }));
    openStore({ ...S3, endpoint: "https://minio.example.com" }, storeDeps());
    openStore(S3, storeDeps({ AWS_DEFAULT_REGION: "eu-central-1" }));
  });

  it.each([
    ["http://minio.example.com:9000", 1],
    ["http://10.0.0.7", 1],
    ["http://127.0.0.1:9000", 0],
    ["http://localhost:9000", 0],
    ["http://[::1]:9000", 0],
    ["https://minio.example.com", 0],
  ])("warns of what can be read on the way: %s", (endpoint, warnings) => {
    const deps = storeDeps();
    openStore({ ...S3, endpoint }, deps);
    expect(deps.log.lines.filter((line) => line.startsWith("warning: s3-endpoint"))).toHaveLength(warnings);
  });
});

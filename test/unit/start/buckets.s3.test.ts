import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUCKET_VARIABLES, readS3Settings, type S3Settings } from "../../../src/backend/s3-settings.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { readyBuckets, whileChecking } from "../../../src/start/buckets.ts";
import { freePorts } from "../../../src/system/ports.ts";
import { type S3Server, startS3 } from "../../support/s3.ts";
import { demandEqualParts, refuseHeader, startS3Proxy, type Temper } from "../../support/s3-proxy.ts";
import { machine, type Told } from "../backend/support.ts";

const BUCKETS = ["files", "modules", "search", "exports", "imports"];
let server: S3Server;

beforeAll(async () => {
  server = await startS3();
  for (const Bucket of BUCKETS) await server.client.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => await server[Symbol.asyncDispose]());

const five = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(BUCKET_VARIABLES.map((variable, index) => [variable, names[index] ?? names[0] ?? ""]));

/** `backend-env` as a user writes it for this server. */
const variables = (more: Readonly<Record<string, string>> = {}, names: readonly string[] = ["files"]) => ({
  ...five(names),
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: server.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
  S3_ENDPOINT_URL: server.endpoint,
  AWS_S3_FORCE_PATH_STYLE: "true",
  ...more,
});

function settingsOf(env: Readonly<Record<string, string>>): S3Settings {
  const settings = readS3Settings(env);
  if (settings === undefined) throw new Error("no S3 storage");
  return settings;
}

interface Outcome {
  readonly error: ActionError | undefined;
  readonly told: Told;
}

async function check(env: Readonly<Record<string, string>>, runtime: "docker" | "binary" = "binary"): Promise<Outcome> {
  const { deps, told } = machine();
  const { signal } = new AbortController();
  try {
    await readyBuckets(settingsOf(env), "lab", runtime, signal, deps);
    return { error: undefined, told };
  } catch (error) {
    if (error instanceof ActionError) return { error, told };
    throw error;
  }
}

/** What is in the buckets: objects and unfinished uploads. */
async function leftBehind(): Promise<string[]> {
  const found: string[] = [];
  for (const Bucket of BUCKETS) {
    const objects = await server.client.send(new ListObjectsV2Command({ Bucket }));
    const uploads = await server.client.send(new ListMultipartUploadsCommand({ Bucket }));
    for (const { Key = "" } of [...(objects.Contents ?? []), ...(uploads.Uploads ?? [])])
      found.push(`${Bucket}/${Key}`);
  }
  return found;
}

async function through(temper: Temper, more: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  await using proxy = await startS3Proxy(server.endpoint, temper);
  return await check(variables({ S3_ENDPOINT_URL: proxy.endpoint, ...more }));
}

describe("good buckets", () => {
  it("are each checked once, by the requests that the backend makes, below a prefix like its own", async () => {
    await using proxy = await startS3Proxy(server.endpoint, {});
    const env = variables({ S3_ENDPOINT_URL: proxy.endpoint }, ["files", "modules", "files", "files", "modules"]);
    const { error, told } = await check(env);
    expect(error).toBeUndefined();
    expect(told.info.join()).toContain("Checked 2 buckets");
    for (const bucket of ["files", "modules"]) {
      const own = proxy.passed.filter(({ path }) => path.startsWith(`/${bucket}/lab-`));
      expect(own.map(({ method }) => method)).toEqual(["POST", "PUT", "PUT", "PUT", "POST", "HEAD", "GET", "DELETE"]);
      expect(own.slice(1, 4).map(({ length }) => length / 1024 / 1024)).toEqual([5, 6, 1]);
      expect(own[0]?.headers["x-amz-server-side-encryption"]).toBe("AES256");
      expect(own[0]?.headers["x-amz-checksum-algorithm"]).toBe("CRC32");
      expect(own[1]?.headers["x-amz-checksum-crc32"]).toBeDefined();
    }
    expect(proxy.passed.filter(({ path }) => !/^\/(files|modules)\/lab-/.test(path))).toEqual([]);
    expect(await leftBehind()).toEqual([]);
  });

  it("are asked for nothing that the variables turn off", async () => {
    await using proxy = await startS3Proxy(server.endpoint, {});
    const off = { AWS_S3_DISABLE_SSE: "true", AWS_S3_DISABLE_CHECKSUMS: "true" };
    const { error } = await check(variables({ S3_ENDPOINT_URL: proxy.endpoint, ...off }));
    expect(error).toBeUndefined();
    expect(proxy.passed[0]?.headers["x-amz-server-side-encryption"]).toBeUndefined();
    expect(proxy.passed[0]?.headers["x-amz-checksum-algorithm"]).toBeUndefined();
    expect(proxy.passed[1]?.headers["x-amz-checksum-crc32"]).toBeDefined();
  });
});

describe("a store that is not like S3", () => {
  const needs = async (temper: Temper, setting: string, cure: Readonly<Record<string, string>>): Promise<void> => {
    const { error } = await through(temper);
    expect(error).toMatchObject({ code: "s3-needs-setting", hint: expect.stringContaining(setting) });
    expect(error?.message).toContain('Bucket "files" (S3_STORAGE_FILES_BUCKET');
    expect((await through(temper, cure)).error).toBeUndefined();
    expect(await leftBehind()).toEqual([]);
  };

  it("demands parts of equal length (R2)", async () => {
    const setting = { STORAGE_MAX_INTERMEDIATE_PART_SIZE: "5242880" };
    await needs({ refuse: demandEqualParts() }, "STORAGE_MAX_INTERMEDIATE_PART_SIZE=5242880", setting);
  });
  it("refuses encryption", async () => {
    const refuse = refuseHeader("x-amz-server-side-encryption");
    await needs({ refuse }, "AWS_S3_DISABLE_SSE=true", { AWS_S3_DISABLE_SSE: "true" });
  });
  it("refuses checksums of the whole", async () => {
    const refuse = refuseHeader("x-amz-checksum-algorithm");
    await needs({ refuse }, "AWS_S3_DISABLE_CHECKSUMS=true", { AWS_S3_DISABLE_CHECKSUMS: "true" });
  });
  it("refuses both", async () => {
    const [first, second] = [refuseHeader("x-amz-server-side-encryption"), refuseHeader("x-amz-checksum-algorithm")];
    const cure = { AWS_S3_DISABLE_SSE: "true", AWS_S3_DISABLE_CHECKSUMS: "true" };
    await needs({ refuse: (request) => first(request) ?? second(request) }, "AWS_S3_DISABLE_SSE=true and", cure);
  });
  it("refuses parts with checksums", async () => {
    const cure = { AWS_S3_DISABLE_CHECKSUMS: "true", AWS_REQUEST_CHECKSUM_CALCULATION: "when_required" };
    await needs({ refuse: refuseHeader("x-amz-checksum-crc32") }, "AWS_REQUEST_CHECKSUM_CALCULATION=", cure);
  });
  it("sends no checksum back for a part", async () => {
    await needs({ drop: /^x-amz-checksum/ }, "AWS_S3_DISABLE_CHECKSUMS=true", { AWS_S3_DISABLE_CHECKSUMS: "true" });
  });
  it("gives back other bytes", async () => {
    const { error } = await through({ damage: true });
    expect(error).toMatchObject({ code: "s3-damaged" });
    expect(await leftBehind()).toEqual([]);
  });
  it("does not delete: a warning that names what is left", async () => {
    const refuse: Temper["refuse"] = ({ method }) =>
      method === "DELETE" ? { status: 403, code: "AccessDenied", message: "Access Denied" } : undefined;
    const { error, told } = await through({ refuse });
    expect(error).toBeUndefined();
    expect(told.warning.join()).toMatch(/may not do DeleteObject there; the test object lab-[^ ]+ is left/);
    const [left] = await leftBehind();
    expect(told.warning.join()).toContain(left?.slice("files/".length));
    for (const key of await leftBehind()) {
      const { DeleteObjectCommand } = await import("@aws-sdk/client-s3");
      await server.client.send(new DeleteObjectCommand({ Bucket: "files", Key: key.slice("files/".length) }));
    }
  });
  it("answers what nobody has foreseen, which is shown", async () => {
    const refuse: Temper["refuse"] = () => ({ status: 418, code: "Teapot", message: "Short and stout" });
    const { error } = await through({ refuse });
    expect(error).toMatchObject({ code: "s3-refused" });
    expect(error?.message).toContain("CreateMultipartUpload is refused with 418 Teapot: Short and stout");
  });
  it("lets the keys only read", async () => {
    const refuse: Temper["refuse"] = ({ method }) =>
      method === "POST" ? { status: 403, code: "AccessDenied", message: "Access Denied" } : undefined;
    const { error } = await through({ refuse });
    expect(error).toMatchObject({ code: "s3-access-denied", hint: expect.stringContaining("s3:PutObject") });
    expect(error?.message).toContain("CreateMultipartUpload");
  });
});

describe("what users get wrong", () => {
  it("a bucket that is not there, and one that is: only the first is named", async () => {
    const { error } = await check(variables({}, ["files", "modulse", "search", "exports", "modulse"]));
    expect(error).toMatchObject({ code: "s3-bucket-missing" });
    expect(error?.message).toContain('"modulse" (S3_STORAGE_MODULES_BUCKET, S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET)');
    expect(error?.message).not.toContain('"files"');
  });
  it("a wrong secret, never shown", async () => {
    const { error } = await check(variables({ AWS_SECRET_ACCESS_KEY: "wrong-secret-0123456789" }));
    expect(error).toMatchObject({ code: "s3-keys-refused" });
    expect(JSON.stringify(error) + String(error?.stack) + error?.hint).not.toContain("wrong-secret");
  });
  it("an unknown key", async () => {
    const { error } = await check(variables({ AWS_ACCESS_KEY_ID: "AKIAUNKNOWN" }));
    expect(error, error?.message).toMatchObject({ code: "s3-keys-refused" });
  });
  it("another region", async () => {
    const { error } = await check(variables({ AWS_REGION: "eu-west-1" }));
    expect(error).toMatchObject({ code: "s3-region-wrong", hint: expect.stringContaining("AWS_REGION") });
    expect(error?.message).toContain("eu-west-1");
  });
  it("an endpoint where nothing listens, and one that nobody knows", async () => {
    const [port = 0] = await freePorts(1);
    const down = await check(variables({ S3_ENDPOINT_URL: `http://127.0.0.1:${port}` }));
    expect(down.error).toMatchObject({ code: "s3-unreachable" });
    expect(down.error?.message).toContain("ECONNREFUSED");
    const unknown = await check(variables({ S3_ENDPOINT_URL: "http://store.invalid:9000" }));
    expect(unknown.error).toMatchObject({ code: "s3-unreachable" });
  });
  it("host names with the bucket in front, which the store's network does not know", async () => {
    const endpoint = { S3_ENDPOINT_URL: "http://store.invalid:9000", AWS_S3_FORCE_PATH_STYLE: "True" };
    const { error } = await check(variables(endpoint));
    expect(error).toMatchObject({
      code: "s3-unreachable",
      hint: expect.stringContaining("AWS_S3_FORCE_PATH_STYLE=true"),
    });
  });
  it("https where none is spoken", async () => {
    const { error } = await check(variables({ S3_ENDPOINT_URL: server.endpoint.replace("http:", "https:") }));
    expect(error).toMatchObject({ code: "s3-unreachable", hint: expect.stringContaining("scheme") });
  });
});

describe("a backend in a container", () => {
  it("reaches a store of this machine by another name than this job", async () => {
    const endpoint = `http://host.docker.internal:${server.port}`;
    expect((await check(variables({ S3_ENDPOINT_URL: endpoint }), "docker")).error).toBeUndefined();
  });
  it("would find itself behind 127.0.0.1, and nobody behind a bucket's host name", async () => {
    expect((await check(variables(), "docker")).error).toMatchObject({
      code: "s3-settings-invalid",
      hint: expect.stringContaining("host.docker.internal"),
    });
    const style = { S3_ENDPOINT_URL: `http://host.docker.internal:${server.port}`, AWS_S3_FORCE_PATH_STYLE: "" };
    expect((await check(variables(style), "docker")).error).toMatchObject({ code: "s3-settings-invalid" });
  });
  it("may know names that this job does not, and keys of its own: not checked, and said so", async () => {
    const { error, told } = await check(variables({ S3_ENDPOINT_URL: "http://minio:9000" }), "docker");
    expect(error).toBeUndefined();
    expect(told.warning.join()).toContain("were not checked: this job does not know the host minio");
    const keyless = await check(variables({ AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" }, ["none"]), "binary");
    expect(keyless.error).toBeUndefined();
    expect(keyless.told.warning.join()).toContain("were not checked: backend-env holds no");
  });
});

describe("a check beside other work", () => {
  it("ends with that work, and takes back what it stored", async () => {
    const { deps } = machine();
    let sent = (): void => undefined;
    const sending = new Promise<void>((resolve) => {
      sent = resolve;
    });
    const refuse: Temper["refuse"] = ({ method }) => {
      if (method === "PUT") sent();
      return undefined;
    };
    await using proxy = await startS3Proxy(server.endpoint, { refuse });
    const settings = settingsOf(variables({ S3_ENDPOINT_URL: proxy.endpoint }));
    const check = (signal: AbortSignal) => readyBuckets(settings, "lab", "binary", signal, deps);
    const work = async (): Promise<never> => {
      await sending;
      throw new Error("the pull failed");
    };
    await expect(whileChecking(check, work)).rejects.toThrow("the pull failed");
    expect(await leftBehind()).toEqual([]);
  });
});

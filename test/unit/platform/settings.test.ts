import { describe, expect, it } from "vitest";
import { readPlatformInputs } from "../../../src/platform/inputs.ts";
import { checkAgreement, type Names, originsOn, withSettings } from "../../../src/platform/origins.ts";
import { parseSettings, settingLines } from "../../../src/platform/settings.ts";

const SECRET = "5e".repeat(32);
const S3 = [
  "AWS_REGION=eu-central-1",
  ...["FILES", "MODULES", "SEARCH", "EXPORTS", "SNAPSHOT_IMPORTS"].map(
    (name) => `S3_STORAGE_${name}_BUCKET=acme-files`,
  ),
  "AWS_ACCESS_KEY_ID=AKIASENTINEL0001",
  "AWS_SECRET_ACCESS_KEY=wJalr/sentinel+key==",
];
const WHOLE = [
  "CONVEX_CLOUD_ORIGIN=https://API.example.com/",
  "CONVEX_SITE_ORIGIN=https://site.example.com",
  "INSTANCE_NAME=acme",
  `INSTANCE_SECRET='${SECRET}'`,
  'POSTGRES_URL="postgresql://u:p%26w@db.example.com/app?sslmode=require&x=y"',
  ...S3,
];

describe("the lines of a connection", () => {
  it("are the backend's settings, without their quotes", () => {
    expect(parseSettings(WHOLE.join("\n"))).toEqual({
      cloudOrigin: "https://api.example.com",
      siteOrigin: "https://site.example.com",
      instanceName: "acme",
      instanceSecret: SECRET,
      postgresUrl: "postgresql://u:p%26w@db.example.com/app?sslmode=require&x=y",
      others: new Map(S3.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])),
      notices: [],
    });
  });

  it("of a whole .env.local are told by name where they are none, and empty ones are none either", () => {
    const { others, notices, cloudOrigin } = parseSettings(
      "OPENAI_API_KEY=sk-sentinel\nCONVEX_SELF_HOSTED_ADMIN_KEY=a|b\nS3_ENDPOINT_URL=\nCONVEX_CLOUD_ORIGIN=\nRUST_LOG=info#x\n",
    );
    expect([...others.keys()]).toEqual(["RUST_LOG"]);
    expect(cloudOrigin).toBeUndefined();
    expect(notices).toEqual([
      expect.stringContaining("RUST_LOG ends before the #"),
      "connection: OPENAI_API_KEY not passed on to the backend: docs/platforms.md has what is.",
    ]);
  });

  it.each([
    [`INSTANCE_SECRET=${SECRET}\nINSTANCE_SECRET=${SECRET}`, "connection-invalid", "INSTANCE_SECRET more than once"],
    [`INSTANCE_SECRET=${SECRET.slice(1)}`, "connection-invalid", "INSTANCE_SECRET in connection is not 64 hex digits"],
    ["MYSQL_URL=mysql://u:p@db.example.com", "connection-invalid", "MYSQL_URL"],
    ["DATABASE_URL=postgresql://u:p@db.example.com", "connection-invalid", "DATABASE_URL"],
    ["POSTGRES_ULR='postgres://u:p@db.example.com/x?y=z'", "connection-invalid", "POSTGRES_ULR"],
    [`POSTGRES_URL=postgresql://u:\${PW}@db.example.com`, "connection-invalid", "POSTGRES_URL"],
    ['POSTGRES_URL="postgresql://u:p@a\nb"', "connection-invalid", "POSTGRES_URL in connection has a line break"],
    [`AWS_REGION='"eu-central-1"'`, "connection-invalid", "AWS_REGION in connection begins or ends with a quote"],
    ["a line that is none", "env-unreadable", "line 1"],
    ["CONVEX_CLOUD_ORIGIN=http://api.example.com", "input-invalid", "CONVEX_CLOUD_ORIGIN in connection"],
    ["CONVEX_CLOUD_ORIGIN=https://api.example.com/http", "input-invalid", "CONVEX_CLOUD_ORIGIN in connection"],
    ["CONVEX_SITE_ORIGIN=https://site.example.com:3211", "input-invalid", "it has a port"],
    [S3.slice(0, 3).join("\n"), "s3-settings-invalid", "connection sets only some"],
  ])("%s: %s, %s", (text, code, message) => {
    expect(() => parseSettings(text)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  it("are written for the command lines of platforms, and what is not there is not", () => {
    expect(settingLines({ instanceSecret: SECRET, postgresUrl: "postgresql://u:p@h" }, new Map([["A", "b=="]]))).toBe(
      `INSTANCE_SECRET=${SECRET}\nPOSTGRES_URL=postgresql://u:p@h\nA=b==`,
    );
    expect(settingLines({ instanceSecret: undefined, postgresUrl: undefined }, new Map())).toBe("");
  });
});

describe("beside inputs of their own", () => {
  const read = (inputs: Readonly<Record<string, string>>) => readPlatformInputs((name) => inputs[name] ?? "");
  const connection = WHOLE.join("\n");

  it("the lines count where an input is not set, and may say the same", () => {
    const named = { instanceName: "acme", instanceSecret: SECRET, postgresUrl: expect.stringContaining("p%26w@") };
    expect(read({ connection })).toMatchObject(named);
    expect(read({ connection, "instance-secret": SECRET, "instance-name": "acme" })).toMatchObject(named);
    expect(read({ connection: "INSTANCE_SECRET=" })).toMatchObject({ instanceName: "convex-self-hosted" });
  });

  it.each([
    ["instance-secret", "6f".repeat(32), "INSTANCE_SECRET"],
    ["instance-name", "other", "INSTANCE_NAME"],
    ["postgres-url", "postgresql://u:other-sentinel@db.example.com", "POSTGRES_URL"],
  ])("%s of another value is refused", (input, value, line) => {
    expect(() => read({ connection, [input]: value })).toThrow(
      expect.objectContaining({
        code: "input-conflict",
        message: `${input} and ${line} in connection differ.`,
      }),
    );
  });

  it("masks every secret, those of a connection that is refused too, and no address", () => {
    const masked: string[] = [];
    const mask = (secret: string): void => void masked.push(secret);
    const refused = `${connection}\nINSTANCE_SECRET=${"6f".repeat(32)}`;
    expect(() => readPlatformInputs((name) => (name === "connection" ? refused : ""), mask)).toThrow();
    expect(masked).toEqual(expect.arrayContaining([SECRET, "6f".repeat(32), "wJalr/sentinel+key=="]));
    readPlatformInputs((name) => (name === "connection" ? connection : ""), mask);
    expect(masked).toContain("p%26w");
  });

  const origins = (names: Partial<Names>, lines: string): ReturnType<typeof originsOn> => {
    const settings = parseSettings(lines);
    const none = { app: undefined, domain: undefined, siteDomain: undefined, workspace: undefined };
    const found = originsOn(withSettings({ platform: "kubernetes", ...none, ...names }, settings), "acme/app");
    if (found !== undefined) checkAgreement(found, settings);
    return found;
  };

  it.each<[Partial<Names>, string, string, string]>([
    [{}, WHOLE.slice(0, 2).join("\n"), "https://api.example.com", "https://site.example.com"],
    [{}, "CONVEX_CLOUD_ORIGIN=https://a.example.com", "https://a.example.com", "https://a.example.com/http"],
    [
      {},
      "CONVEX_CLOUD_ORIGIN=https://a.example.com\nCONVEX_SITE_ORIGIN=https://a.example.com/http",
      "https://a.example.com",
      "https://a.example.com/http",
    ],
    [
      { platform: "coder" },
      "CONVEX_CLOUD_ORIGIN=https://convex--dev--alice.example.com\nCONVEX_SITE_ORIGIN=https://convex-site--dev--alice.example.com",
      "https://convex--dev--alice.example.com",
      "https://convex-site--dev--alice.example.com",
    ],
    [
      { platform: "fly" },
      "CONVEX_CLOUD_ORIGIN=https://acme.fly.dev",
      "https://acme.fly.dev",
      "https://acme.fly.dev/http",
    ],
  ])("the origins of %j and %s are %s and %s", (names, lines, cloud, site) => {
    expect(origins(names, lines)).toMatchObject({ cloud, site });
  });

  it.each<[Partial<Names>, string]>([
    [{ platform: "railway", domain: "convex-1a2b.up.railway.app" }, "CONVEX_CLOUD_ORIGIN=https://api.example.com"],
    [{ domain: "api.example.com", siteDomain: "s.example.com" }, "CONVEX_SITE_ORIGIN=https://site.example.com"],
    [{}, "CONVEX_CLOUD_ORIGIN=https://a.example.com\nCONVEX_SITE_ORIGIN=https://b.example.com/http"],
    [
      { platform: "coder" },
      "CONVEX_CLOUD_ORIGIN=https://convex--dev--alice.example.com\nCONVEX_SITE_ORIGIN=https://convex-site--dev--bob.example.com",
    ],
    [{ platform: "fly", app: "acme" }, "CONVEX_CLOUD_ORIGIN=https://other.fly.dev"],
  ])("%j and %s name different ones", (names, lines) => {
    expect(() => origins(names, lines)).toThrow(expect.objectContaining({ code: "input-conflict" }));
  });
});

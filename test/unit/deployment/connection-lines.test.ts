import { describe, expect, it } from "vitest";
import { isKeyOf, issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { connectionSecrets, parseConnection } from "../../../src/deployment/connection-lines.ts";
import { adminKeyOf, type DeploymentNamed, readDeployment, requireDeployment } from "../../../src/deployment/inputs.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { Inputs } from "../../../src/runner/inputs.ts";
import { redactKnown } from "../../../src/runner/mask.ts";

const URL = "https://api.example.com";
const KEY = "acme-prod|0123456789abcdef0123456789abcdef";
const LINES = `CONVEX_SELF_HOSTED_URL=${URL}\nCONVEX_SELF_HOSTED_ADMIN_KEY=${KEY}\n`;
const SECRET = "0f".repeat(32);
/** As the .env beside a docker-compose.yml of the backend. */
const SETTINGS = `CONVEX_CLOUD_ORIGIN='${URL}'\nCONVEX_SITE_ORIGIN=https://site.example.com\nINSTANCE_NAME=acme-prod\nINSTANCE_SECRET=${SECRET}\n`;
const instance = { instanceName: "acme-prod", instanceSecret: SECRET };
const both = { url: URL, adminKey: KEY };

const refusal = (work: () => unknown): ActionError => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    return error as ActionError;
  }
  return expect.unreachable();
};

describe("the lines of a connection", () => {
  it.each([
    ["plain", LINES],
    ["with line ends of Windows and a mark of the byte order", `\uFEFF${LINES.replaceAll("\n", "\r\n")}`],
    ["in quotes", `CONVEX_SELF_HOSTED_URL='${URL}'\nCONVEX_SELF_HOSTED_ADMIN_KEY="${KEY}"`],
    [
      "exported, with comments",
      `# mine\nexport CONVEX_SELF_HOSTED_URL = ${URL} # here\nCONVEX_SELF_HOSTED_ADMIN_KEY: ${KEY}`,
    ],
    [
      "in a whole .env.local",
      `CONVEX_DEPLOYMENT=\nVITE_CONVEX_URL=${URL}\n${LINES}OPENAI="two\nlines"\nno assignment\nNAME=a\nNAME=b`,
    ],
  ])("are read %s", (_, text) => {
    expect(parseConnection(text)).toEqual({ url: URL, key: KEY });
  });

  it.each([
    ["as they are", SETTINGS, { url: URL, key: instance }],
    [
      "without the name that it has by itself",
      `CONVEX_CLOUD_ORIGIN=${URL}\r\nINSTANCE_SECRET="${SECRET}"\r\n`,
      { url: URL, key: { instanceName: "convex-self-hosted", instanceSecret: SECRET } },
    ],
    ["without an address", `INSTANCE_NAME=acme-prod\nINSTANCE_SECRET=${SECRET}`, { url: undefined, key: instance }],
    ["beside a key, which counts", `${SETTINGS.replace(SECRET, "rotated")}${LINES}`, { url: URL, key: KEY }],
    [
      "beside an address of the same server",
      `${SETTINGS}CONVEX_SELF_HOSTED_URL=${URL}:443/`,
      { url: `${URL}:443/`, key: instance },
    ],
  ])("may be those of the backend's settings, %s", (_, text, meant) => {
    expect(parseConnection(text)).toEqual(meant);
  });

  it.each([
    [
      "no key",
      `CONVEX_SELF_HOSTED_URL=${URL}`,
      /no line with a value for CONVEX_SELF_HOSTED_ADMIN_KEY or INSTANCE_SECRET\./,
    ],
    ["an empty secret", `CONVEX_CLOUD_ORIGIN=${URL}\nINSTANCE_SECRET=`, /no line with a value for/],
    ["a comment alone", `#CONVEX_SELF_HOSTED_URL=${URL}`, /no line with a value for/],
    ["the key by itself", KEY, /no line with a value for/],
    [
      "a cloud key",
      "CONVEX_DEPLOY_KEY=prod:happy-otter-123|secret",
      /CONVEX_DEPLOY_KEY, which names a deployment in Convex's cloud/,
    ],
    ["a cloud deployment", "CONVEX_DEPLOYMENT=dev:happy-otter-123", /CONVEX_DEPLOYMENT, which/],
    [
      "two URLs",
      `${LINES}export CONVEX_SELF_HOSTED_URL="https://other.example.com"`,
      /sets CONVEX_SELF_HOSTED_URL more than once/,
    ],
    [
      "two keys",
      `CONVEX_SELF_HOSTED_ADMIN_KEY=other|123456\n${LINES}`,
      /sets CONVEX_SELF_HOSTED_ADMIN_KEY more than once/,
    ],
    [
      "two origins",
      `${SETTINGS}CONVEX_CLOUD_ORIGIN=https://other.example.com`,
      /sets CONVEX_CLOUD_ORIGIN more than once/,
    ],
    ["two secrets", `INSTANCE_SECRET=${"ab".repeat(32)}\n${SETTINGS}`, /sets INSTANCE_SECRET more than once/],
    ["two names", `${SETTINGS}export INSTANCE_NAME=other`, /sets INSTANCE_NAME more than once/],
    [
      "addresses that differ",
      `${SETTINGS}CONVEX_SELF_HOSTED_URL=https://other.example.com`,
      /CONVEX_SELF_HOSTED_URL and CONVEX_CLOUD_ORIGIN in connection are different addresses/,
    ],
    [
      "a short secret",
      "INSTANCE_SECRET=0f0f0f",
      /INSTANCE_SECRET in connection is not 64 hex digits: it has 6 digits\./,
    ],
    ["words for a secret", "INSTANCE_SECRET=sentinel", /something else than hex digits/],
    ["a name that is none", `INSTANCE_NAME=other|name\nINSTANCE_SECRET=${SECRET}`, /INSTANCE_NAME in connection has/],
    [
      "what Docker Compose would put in",
      `CONVEX_CLOUD_ORIGIN=https://\${other}\nINSTANCE_SECRET=${SECRET}`,
      /takes CONVEX_CLOUD_ORIGIN from another variable/,
    ],
  ])("are refused with %s, and nothing of them is shown", (_, text, said) => {
    const error = refusal(() => parseConnection(text));
    expect(error.code).toBe("connection-invalid");
    expect(error.message).toMatch(said);
    for (const value of [KEY, URL, SECRET, "0f0f0f", "happy-otter", "other.", "other|", "{other", "sentinel"])
      expect(error.text).not.toContain(value);
  });

  it("are secret with all that stands beside them, but for what logs are about", () => {
    const text = `${LINES}VITE_CONVEX_URL=${URL}\nHOST=api.example.com\nNAME=acme-prod\nOPENAI_API_KEY='sk-"sentinel" 1'\nOLD=one-sentinel\nOLD=two-sentinel\nCONVEX_DEPLOY_KEY=prod:x|cloud-sentinel\nPEM="first\nline=sentinel-2"\n`;
    const secrets = connectionSecrets(text);
    for (const value of [
      text,
      KEY,
      'sk-"sentinel" 1',
      "one-sentinel",
      "two-sentinel",
      "prod:x|cloud-sentinel",
      "first\nline=sentinel-2",
      "sentinel-2",
    ])
      expect(secrets).toContain(value);
    for (const value of [URL, "api.example.com", "acme-prod"]) expect(secrets).not.toContain(value);
    expect(connectionSecrets(`CONVEX_SELF_HOSTED_ADMIN_KEY="${KEY}`)).toContain(KEY);
  });

  it("are secret in the backend's settings, but for where things are", () => {
    const text = `${SETTINGS}POSTGRES_URL='postgresql://me:pa%2Fss-sentinel@db.example.com'\nAWS_REGION=eu-central-1\nS3_STORAGE_FILES_BUCKET=acme-files\nAWS_SECRET_ACCESS_KEY=s3-sentinel\n`;
    const secrets = connectionSecrets(text);
    const hidden = ["postgresql://me:pa%2Fss-sentinel@db.example.com", "pa%2Fss-sentinel", "pa/ss-sentinel"];
    expect(secrets).toEqual(expect.arrayContaining([text, SECRET, "s3-sentinel", ...hidden]));
    for (const value of [URL, "https://site.example.com", "acme-prod", "eu-central-1", "acme-files"])
      expect(secrets).not.toContain(value);
  });
});

describe("the deployment of an action", () => {
  const named = (inputs: Readonly<Record<string, string>>, env = {}): DeploymentNamed =>
    readDeployment(new Inputs((name) => inputs[name] ?? ""), env);
  const root = { CONVEX_SELF_HOSTED_URL: "http://127.0.0.1:3210", CONVEX_SELF_HOSTED_ADMIN_KEY: "drill|0123456789" };

  it("is that of connection, before the variables of the root action", () => {
    expect(requireDeployment(named({ connection: LINES }, root))).toEqual(both);
    expect(requireDeployment(named({ connection: " \n" }, root))).toMatchObject({ url: root.CONVEX_SELF_HOSTED_URL });
  });

  it("may be named twice in the same way", () => {
    expect(requireDeployment(named({ connection: LINES, url: URL, "admin-key": `${KEY}\n` }))).toEqual(both);
    expect(requireDeployment(named({ connection: LINES, url: `${URL}:443` }))).toEqual({ ...both, url: `${URL}:443` });
  });

  it.each([
    [{ url: "https://other.example.com" }, "url and connection name different deployments."],
    [{ url: "https://api.example.com:8443" }, "url and connection name different deployments."],
    [{ url: "no address" }, "url and connection name different deployments."],
    [{ "admin-key": "acme-prod|fedcba9876543210" }, "admin-key and connection hold different keys."],
  ])("is refused when it is named twice and differently: %j", (more, said) => {
    const error = refusal(() => requireDeployment(named({ connection: LINES, ...more })));
    expect(error).toMatchObject({ code: "input-conflict", message: said });
  });

  it("has an address from url where connection has none, and from nowhere else", () => {
    const half = { connection: `CONVEX_SELF_HOSTED_ADMIN_KEY=${KEY}` };
    expect(requireDeployment(named({ ...half, url: URL }, root))).toEqual(both);
    const error = refusal(() => requireDeployment(named(half, root)));
    expect(error.code).toBe("connection-invalid");
    expect(error.message).toMatch(/CONVEX_SELF_HOSTED_URL or CONVEX_CLOUD_ORIGIN, and url is not set/);
  });

  it("has no key from elsewhere where connection has none", () => {
    const half = named({ connection: `CONVEX_CLOUD_ORIGIN=${URL}`, "admin-key": KEY }, root);
    expect(refusal(() => requireDeployment(half)).code).toBe("connection-invalid");
  });

  it("has a key that is made from the instance secret, and masked", () => {
    const made = requireDeployment(named({ connection: SETTINGS }, root));
    expect(made.url).toBe(URL);
    expect(isKeyOf(instance, made.adminKey)).toBe(true);
    expect(redactKnown(`${made.adminKey} ${made.adminKey.slice("acme-prod|".length)}`)).toBe("*** ***");
    const alone = adminKeyOf(named({ connection: `INSTANCE_NAME=acme-prod\nINSTANCE_SECRET=${SECRET}` })) ?? "";
    expect(isKeyOf(instance, alone)).toBe(true);
    expect(redactKnown(alone)).toBe("***");
  });

  it("may be named by a key of the instance whose secret connection has", () => {
    for (const format of ["current", "legacy"] as const) {
      const adminKey = `prod:${issueAdminKey({ ...instance, format })}`;
      expect(requireDeployment(named({ connection: SETTINGS, "admin-key": adminKey })).url).toBe(URL);
    }
  });

  it.each([
    ["of another name", issueAdminKey({ ...instance, instanceName: "other" })],
    ["of another secret", issueAdminKey({ ...instance, instanceSecret: "ab".repeat(32) })],
    ["that is none", "acme-prod"],
  ])("is refused with a key %s beside an instance secret", (_, adminKey) => {
    const error = refusal(() => requireDeployment(named({ connection: SETTINGS, "admin-key": adminKey })));
    expect(error).toMatchObject({ code: "input-conflict", message: expect.stringContaining("no key of the instance") });
  });

  it("has its secrets masked before anything is judged", () => {
    named({
      connection: `CONVEX_SELF_HOSTED_ADMIN_KEY=late|sentinel-11\nTOKEN=sentinel-12\nINSTANCE_SECRET=${"5e".repeat(32)}`,
      "admin-key": "other|sentinel-13",
    });
    const said = `late|sentinel-11 sentinel-12 ${"5e".repeat(32)} other|sentinel-13`;
    expect(redactKnown(said)).toBe("*** *** *** ***");
  });
});

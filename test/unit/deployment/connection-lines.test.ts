import { describe, expect, it } from "vitest";
import { connectionSecrets, parseConnection } from "../../../src/deployment/connection-lines.ts";
import { type DeploymentNamed, readDeployment, requireDeployment } from "../../../src/deployment/inputs.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { Inputs } from "../../../src/runner/inputs.ts";
import { redactKnown } from "../../../src/runner/mask.ts";

const URL = "https://api.example.com";
const KEY = "acme-prod|0123456789abcdef0123456789abcdef";
const LINES = `CONVEX_SELF_HOSTED_URL=${URL}\nCONVEX_SELF_HOSTED_ADMIN_KEY=${KEY}\n`;
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
    expect(parseConnection(text)).toEqual(both);
  });

  it.each([
    ["no key", `CONVEX_SELF_HOSTED_URL=${URL}`, /no line with a value for CONVEX_SELF_HOSTED_ADMIN_KEY\./],
    ["no URL", `CONVEX_SELF_HOSTED_URL=\nCONVEX_SELF_HOSTED_ADMIN_KEY=${KEY}`, /value for CONVEX_SELF_HOSTED_URL\./],
    [
      "a comment alone",
      `#CONVEX_SELF_HOSTED_URL=${URL}`,
      /CONVEX_SELF_HOSTED_URL and none for CONVEX_SELF_HOSTED_ADMIN_KEY/,
    ],
    ["the key by itself", KEY, /and none for/],
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
  ])("are refused with %s, and nothing of them is shown", (_, text, said) => {
    const error = refusal(() => parseConnection(text));
    expect(error.code).toBe("connection-invalid");
    expect(error.message).toMatch(said);
    for (const value of [KEY, URL, "happy-otter", "other"]) expect(error.text).not.toContain(value);
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

  it("is half of one by connection never filled up from elsewhere", () => {
    const half = named({ connection: `CONVEX_SELF_HOSTED_ADMIN_KEY=${KEY}`, url: URL }, root);
    expect(refusal(() => requireDeployment(half)).code).toBe("connection-invalid");
  });

  it("has its secrets masked before anything is judged", () => {
    named({
      connection: "CONVEX_SELF_HOSTED_ADMIN_KEY=late|sentinel-11\nTOKEN=sentinel-12",
      "admin-key": "other|sentinel-13",
    });
    expect(redactKnown("late|sentinel-11 sentinel-12 other|sentinel-13")).toBe("*** *** ***");
  });
});

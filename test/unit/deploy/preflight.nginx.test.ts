import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { generateAuthKeys } from "../../../src/credentials/auth-keys.ts";
import { checkDeployment, checkVariablesOf } from "../../../src/deploy/preflight.ts";
import { checkKeyForm } from "../../../src/deployment/access.ts";
import { DeploymentClient } from "../../../src/deployment/client.ts";
import type { CodeScan } from "../../../src/deployment/env-reads.ts";
import { checkUrlForm, type Finding } from "../../../src/deployment/reach.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { startNginx } from "../../support/nginx.ts";
import { collectLog, FakeBackend } from "../deployment/support.ts";

let standin: Standin;
beforeAll(async () => {
  standin = await startStandin();
});
afterAll(() => standin.stop());

async function check(
  url: string,
  options: { readonly key?: string; readonly cli?: string } = {},
): Promise<readonly Finding[]> {
  const adminKey = options.key ?? standin.adminKey;
  const client = new DeploymentClient({
    url,
    adminKey,
    http: systemHttp,
    clock: systemClock,
    log: collectLog().log,
    attempts: 1,
  });
  return await checkDeployment(client, adminKey, options.cli ?? "1.48.0", systemHttp);
}

const codes = (findings: readonly Finding[]): string[] => findings.map(({ level, code }) => `${level} ${code}`);
const proxied = (more = ""): string => `location / { proxy_pass ${standin.url}; ${more} }`;

describe("the form of the URL", () => {
  it.each([
    ["https://convex.example.com", undefined, "https://convex.example.com"],
    ["http://127.0.0.1:3210", undefined, "http://127.0.0.1:3210"],
    ["https://convex.example.com/", "ends with a slash", "https://convex.example.com"],
    ["https://example.com/convex", "has a path (/convex)", "https://example.com"],
    ["https://example.com?x=1", "has a path", "https://example.com"],
    ["https://me:secretword@example.com", "holds a user name or password", "https://example.com"],
    ["convex.example.com", "does not begin with http:// or https://", undefined],
    ['"https://convex.example.com"', "is written in quotes", undefined],
    ["ftp://convex.example.com", "does not begin with http:// or https://", undefined],
    ["https://", "does not begin with http:// or https://", undefined],
  ])("%s: %s", (text, problem, origin) => {
    const { findings, origin: found } = checkUrlForm(text);
    expect(found).toBe(origin);
    if (problem === undefined) expect(findings).toEqual([]);
    else expect(findings[0]?.message).toContain(problem);
    expect(JSON.stringify(findings)).not.toContain("secretword");
  });
});

const HEX = "01".repeat(40);

describe("the form of the key", () => {
  it.each([
    [`convex-self-hosted|${HEX}`, undefined],
    [`prod:my_app.2|${HEX}`, undefined],
    [`convex-self-hosted|0123\n${HEX}`, "line break"],
    [`"convex-self-hosted|${HEX}"`, "quotes"],
    [HEX, "no |"],
    ["convex-self-hosted|xyz", "hex digits"],
    ["convex-self-hosted|0123abcd", "cut off"],
  ])("%j: %s", (key, problem) => {
    const [finding] = checkKeyForm(key);
    if (problem === undefined) expect(finding).toBeUndefined();
    else expect(finding?.message).toContain(problem);
    expect(finding?.message ?? "").not.toContain(HEX);
  });
});

describe("the deployment", () => {
  it("is found good", async () => {
    expect(await check(standin.url)).toEqual([]);
  });
  it("is found good behind a proxy as it should be", async () => {
    await using proxy = await startNginx(proxied());
    expect(await check(`http://127.0.0.1:${proxy.port}`)).toEqual([]);
  });
  it("takes no key of another instance, name and key told apart", async () => {
    const { instanceSecret } = standin;
    const other = issueAdminKey({ instanceName: "other", instanceSecret });
    expect(codes(await check(standin.url, { key: other }))).toEqual([
      "error instance-mismatch",
      "error admin-key-rejected",
    ]);
    const secret = issueAdminKey({ instanceName: standin.instanceName, instanceSecret: "ab".repeat(32) });
    expect(codes(await check(standin.url, { key: secret }))).toEqual(["error admin-key-rejected"]);
  });
  it.each(["read-only", "system"] as const)("takes no %s key", async (kind) => {
    const { instanceName, instanceSecret } = standin;
    const key = issueAdminKey({ instanceName, instanceSecret, kind });
    expect(codes(await check(standin.url, { key }))).toEqual(["error admin-key-forbidden"]);
  });
  it("has a site port that is not meant", async () => {
    const findings = await check(standin.siteUrl);
    expect(codes(findings)).toEqual(["error backend-route-missing"]);
    expect(findings[0]?.hint).toContain("URL of the API");
  });
  it("does not answer", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    expect(codes(await check(`http://127.0.0.1:${port}`))).toEqual(["error backend-unreachable"]);
  });
  it("is too old for the CLI, told by its answers", async () => {
    await using first = await startStandin({ like: "first" });
    const { instanceName, instanceSecret } = first;
    const key = issueAdminKey({ instanceName, instanceSecret, format: "legacy" });
    expect(codes(await check(first.url, { key }))).toEqual(["error cli-too-new"]);
    expect(codes(await check(first.url, { key, cli: "1.28.2" }))).toEqual([]);
    await using middle = await new FakeBackend(({ url }) => {
      if (url === "/instance_name") return { text: standin.instanceName };
      if (url !== "/api/deploy2/evaluate_push") return { json: { success: true } };
      const message =
        "Failed to deserialize the JSON body into the target type: appDefinition: missing field `functions` at line 1 column 9";
      return { status: 400, json: { code: "BadJsonBody", message } };
    }).listen();
    const findings = await check(middle.url);
    expect(codes(findings)).toEqual(["error cli-too-new"]);
    expect(findings[0]?.hint).toContain("1.31.6");
    expect(await check(middle.url, { cli: "1.31.6" })).toEqual([]);
  });
});

describe("a proxy that is set up wrongly", () => {
  it("redirects", async () => {
    await using proxy = await startNginx("return 301 https://convex.example.com$request_uri;");
    const findings = await check(`http://127.0.0.1:${proxy.port}`);
    expect(codes(findings)).toEqual(["error url-redirected"]);
    expect(findings[0]?.hint).toBe("Set url: https://convex.example.com.");
  });
  it("strips the header Authorization", async () => {
    await using proxy = await startNginx(proxied('proxy_set_header Authorization "";'));
    expect(codes(await check(`http://127.0.0.1:${proxy.port}`))).toEqual(["error proxy-strips-authorization"]);
  });
  it("wants a login of its own", async () => {
    await using proxy = await startNginx(
      'location = /version { return 200 "ok"; } location / { auth_basic "x"; auth_basic_user_file $DIR/users; }',
      { files: { users: "" } },
    );
    expect(codes(await check(`http://127.0.0.1:${proxy.port}`))).toEqual(["error backend-answer-unreadable"]);
  });
  it("has nothing behind it", async () => {
    await using proxy = await startNginx("location / { proxy_pass http://127.0.0.1:1; }");
    expect(codes(await check(`http://127.0.0.1:${proxy.port}`))).toEqual(["error backend-answer-unreadable"]);
  });
  it("answers every path with a web page", async () => {
    await using proxy = await startNginx('default_type text/html; location / { return 200 "<html></html>"; }');
    expect(codes(await check(`http://127.0.0.1:${proxy.port}`))).toEqual(["error backend-answer-unreadable"]);
  });
  it("passes on /api alone, which is good enough", async () => {
    await using proxy = await startNginx(`location /api/ { proxy_pass ${standin.url}; } location / { return 404; }`);
    expect(codes(await check(`http://127.0.0.1:${proxy.port}`))).toEqual(["warning instance-unknown"]);
  });
});

describe("TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "tls-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const files = (): Record<string, string> => {
    const [key, certificate] = [join(directory, "key.pem"), join(directory, "certificate.pem")];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-subj",
        "/CN=other.example",
      ],
      { stdio: "ignore" },
    );
    return { "key.pem": readFileSync(key, "utf8"), "certificate.pem": readFileSync(certificate, "utf8") };
  };
  it("with a certificate that nobody vouches for", async () => {
    const certificate = "ssl_certificate $DIR/certificate.pem; ssl_certificate_key $DIR/key.pem;";
    await using proxy = await startNginx(`${certificate} ${proxied()}`, { tls: true, files: files() });
    const findings = await check(`https://127.0.0.1:${proxy.port}`);
    expect(codes(findings)).toEqual(["error backend-tls"]);
    expect(findings[0]?.message).toContain("self-signed");
  });
  it("at a port that speaks none", async () => {
    const findings = await check(standin.url.replace("http:", "https:"));
    expect(codes(findings)).toEqual(["error backend-tls"]);
    expect(findings[0]?.hint).toContain("http://");
  });
});

describe("variables and code", () => {
  const read = (name: string, hasDefault = false) => ({ name, file: "convex/a.ts", line: 3, hasDefault });
  const scan = (more: Partial<CodeScan> = {}): CodeScan => ({
    reads: [],
    authReads: [],
    required: [],
    nodeModules: [],
    hasComponents: false,
    usesOwnSite: false,
    ...more,
  });
  it("are all named at once, with their places", () => {
    const findings = checkVariablesOf(
      scan({ reads: [read("A"), read("B", true)], authReads: [read("ISSUER")], required: [read("MUST")] }),
      new Map(),
    );
    expect(codes(findings)).toEqual(["error auth-variable-missing", "error env-required", "notice env-unset"]);
    expect(findings.map(({ message }) => message).join("\n")).toMatch(
      /ISSUER \(convex\/a\.ts:3\)[\s\S]*MUST[\s\S]*A \(/,
    );
  });
  it("are content with what is set", () => {
    expect(checkVariablesOf(scan({ required: [read("MUST")] }), new Map([["MUST", ""]]))).toEqual([]);
  });
  it("tell whether JWT_PRIVATE_KEY and JWKS belong together", async () => {
    const [one, other] = await Promise.all([generateAuthKeys(), generateAuthKeys()]);
    const judged = (key: string | undefined, jwks: string | undefined): string[] =>
      codes(
        checkVariablesOf(
          scan(),
          new Map([
            ...(key === undefined ? [] : [["JWT_PRIVATE_KEY", key] as const]),
            ...(jwks === undefined ? [] : [["JWKS", jwks] as const]),
          ]),
        ),
      );
    expect(judged(one.jwtPrivateKey, one.jwks)).toEqual([]);
    expect(
      judged(one.jwtPrivateKey.replaceAll(" ", "\n").replaceAll("\nPRIVATE\nKEY", " PRIVATE KEY"), one.jwks),
    ).toEqual([]);
    expect(judged(one.jwtPrivateKey, other.jwks)).toEqual(["error auth-keys-mismatch"]);
    expect(judged(one.jwtPrivateKey, undefined)).toEqual(["error auth-keys-incomplete"]);
    expect(judged(undefined, one.jwks)).toEqual(["warning auth-keys-incomplete"]);
    expect(judged("no key", one.jwks)).toEqual(["error auth-keys-unreadable"]);
    expect(judged(one.jwtPrivateKey, "no json")).toEqual(["error auth-keys-unreadable"]);
    const both = JSON.stringify({ keys: [...JSON.parse(one.jwks).keys, ...JSON.parse(other.jwks).keys] });
    expect(judged(one.jwtPrivateKey, both)).toEqual(["error auth-keys-mismatch"]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { generateAuthKeys } from "../../../src/credentials/auth-keys.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { FakeBackend } from "../deployment/support.ts";
import {
  AUTH_CONFIG,
  at,
  deployApp,
  findingsOf,
  HTTP,
  hosts,
  of,
  project,
  setOrigin,
  setVariables,
  trouble,
} from "./support.ts";

const LONG = { timeout: 60_000 };
const DEVELOPMENT_SECRET = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";

let plain: Standin;
let app: AsyncDisposable & { path: string };
beforeAll(async () => {
  [plain, app] = await Promise.all([startStandin({ metrics: false }), project({ "convex/schema.ts": "" })]);
}, 60_000);
afterAll(async () => {
  await plain.stop();
  await app[Symbol.asyncDispose]();
});

const keyOf = ({ instanceName, instanceSecret }: Standin, more: Partial<Parameters<typeof issueAdminKey>[0]>): string =>
  issueAdminKey({ instanceName, instanceSecret, ...more });

describe("a healthy deployment", () => {
  it("is well in every check, signs its own tokens, and tells its key to nobody else", LONG, async () => {
    await using healthy = await startStandin({ metrics: false });
    const keys = await generateAuthKeys();
    await setVariables(healthy, { JWT_PRIVATE_KEY: keys.jwtPrivateKey, JWKS: keys.jwks });
    await deployApp(healthy, { "convex/auth.config.ts": AUTH_CONFIG, "convex/http.ts": HTTP });
    await using dashboard = await new FakeBackend(() => ({ text: "<title>Convex</title>" })).listen();
    const findings = await findingsOf({ ...at(healthy), dashboardUrl: dashboard.url, workingDirectory: app.path });
    expect(trouble(findings, ["error", "warning", "notice"]), JSON.stringify(findings, null, 1)).toEqual([]);
    expect(findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(["reach", "tls", "websocket", "cli", "auth-keys", "issuer", "discovery", "dashboard"]),
    );
    expect(of(findings, "issuer")[0]?.what).toContain(healthy.siteUrl);
    expect(dashboard.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    const secrets = [healthy.adminKey.split("|")[1] ?? "", keys.jwtPrivateKey.slice(60, 100)];
    for (const secret of secrets) expect(JSON.stringify(findings)).not.toContain(secret);
  });

  it("without a site URL, an app or a project is not blamed", async () => {
    const findings = await findingsOf({ url: plain.url, adminKey: plain.adminKey });
    expect(trouble(findings)).toEqual([]);
    expect(trouble(findings, ["notice"])).toEqual(["notice cli"]);
  });

  it("of the first images is not blamed for what it cannot tell", async () => {
    await using first = await startStandin({ like: "first", metrics: false });
    expect(trouble(await findingsOf(at(first)))).toEqual([]);
  });
});

describe("the address", () => {
  it("is written wrongly, and all else is looked at", async () => {
    const findings = await findingsOf({ ...at(plain), url: `${plain.url}/` });
    expect(trouble(findings)).toEqual(["error reach"]);
    expect(of(findings, "websocket")[0]?.level).toBe("ok");
    expect(trouble(await findingsOf({ ...at(plain), url: "convex.example.com" }))).toEqual(["error reach"]);
  });
  it("is nobody's: one error, and nothing said about the rest", async () => {
    const findings = await findingsOf({ url: "http://127.0.0.1:9", adminKey: plain.adminKey });
    expect(trouble(findings)).toEqual(["error reach"]);
    expect(of(findings, "admin-key")[0]?.what).toContain("Not checked");
  });
  it("is the site's, and the site's is the API's", async () => {
    expect(trouble(await findingsOf({ ...at(plain), url: plain.siteUrl }))).toEqual(["error reach"]);
    const swapped = await findingsOf({ ...at(plain), siteUrl: plain.url });
    expect(of(swapped, "http-actions")[0]).toMatchObject({ level: "error" });
    expect(of(swapped, "http-actions")[0]?.what).toContain("port of the API");
  });
  it("of the HTTP actions is nobody's", async () => {
    const findings = await findingsOf({ ...at(plain), siteUrl: "http://127.0.0.1:9" });
    expect(trouble(findings)).toContain("error http-actions");
  });
  it("is plain http where others listen", async () => {
    const url = "http://convex.example.com";
    const findings = await findingsOf({ ...at(plain), url }, { http: hosts({ [url]: plain.url }) });
    expect(of(findings, "tls")[0]).toMatchObject({ level: "warning" });
    expect(of(findings, "tls")[0]?.what).toContain("plain http");
  });
});

describe("the admin key", () => {
  it("is for another instance", async () => {
    const findings = await findingsOf({ ...at(plain), adminKey: keyOf(plain, { instanceName: "production" }) });
    expect(trouble(findings)).toEqual(["error instance", "error admin-key"]);
    const rejected = keyOf(plain, { instanceSecret: "ab".repeat(32) });
    expect(trouble(await findingsOf({ ...at(plain), adminKey: rejected }))).toEqual(["error admin-key"]);
  });
  it("is read-only, a system key, or none", async () => {
    const judged = async (adminKey: string): Promise<string[]> => trouble(await findingsOf({ ...at(plain), adminKey }));
    expect(await judged(keyOf(plain, { kind: "read-only" }))).toEqual(["warning admin-key"]);
    expect(await judged(keyOf(plain, { kind: "system" }))).toEqual(["error admin-key"]);
    expect(await judged("not a key at all")).toEqual(["error admin-key"]);
  });
  it("is read-only on a newer release too, which says so with 200", async () => {
    await using head = await startStandin({ metrics: false, like: "head" });
    expect(trouble(await findingsOf(at(head)))).toEqual([]);
    const adminKey = keyOf(head, { kind: "read-only" });
    expect(trouble(await findingsOf({ ...at(head), adminKey }))).toEqual(["warning admin-key"]);
  });
  it("is of the old format: a notice; a prefix does no harm", async () => {
    const findings = await findingsOf({ ...at(plain), adminKey: keyOf(plain, { format: "legacy" }) });
    expect(trouble(findings)).toEqual([]);
    expect(trouble(findings, ["notice"])).toContain("notice admin-key");
    expect(trouble(await findingsOf({ ...at(plain), adminKey: `prod:${plain.adminKey}` }))).toEqual([]);
  });
  it("can be made by everybody: the public development secret", async () => {
    await using open = await startStandin({ metrics: false, instanceSecret: DEVELOPMENT_SECRET });
    expect(trouble(await findingsOf(at(open)))).toEqual(["error default-secret"]);
    await using first = await startStandin({ like: "first", metrics: false, instanceSecret: DEVELOPMENT_SECRET });
    expect(trouble(await findingsOf(at(first)))).toEqual(["error default-secret"]);
  });
});

describe("other addresses", () => {
  it("never get the admin key", async () => {
    await using standin = await startStandin({ metrics: false });
    await using elsewhere = await new FakeBackend(() => ({ text: "unknown" })).listen();
    await setOrigin(standin, "convexCloud", elsewhere.url);
    await setOrigin(standin, "convexSite", elsewhere.url);
    await findingsOf({ ...at(standin), siteUrl: elsewhere.url, dashboardUrl: elsewhere.url });
    expect(new Set(elsewhere.seen.map(({ url }) => url))).toEqual(
      new Set(["/", "/version", "/instance_name", "/metrics", "/.well-known/openid-configuration"]),
    );
    const [, secret = "none"] = standin.adminKey.split("|");
    for (const seen of elsewhere.seen) {
      expect(seen.headers.authorization).toBeUndefined();
      expect(`${seen.url} ${JSON.stringify(seen.headers)} ${seen.body.toString()}`).not.toContain(secret);
    }
  });
});

describe("the CLI", () => {
  it("is too new for the backend", async () => {
    await using first = await startStandin({ like: "first", metrics: false });
    const findings = await findingsOf({ ...at(first), workingDirectory: app.path });
    expect(trouble(findings)).toEqual(["error cli"]);
    expect(of(findings, "cli")[0]?.what).toContain("1.48.0");
  });
  it("is not where it was said to be", async () => {
    const findings = await findingsOf({ ...at(plain), workingDirectory: "/nowhere" });
    expect(of(findings, "cli")[0]?.what).toContain("/nowhere is no directory");
  });
});

describe("sign-in", () => {
  it("has keys that do not belong together, are not readable, or are half there", async () => {
    await using standin = await startStandin({ metrics: false });
    const [one, other] = await Promise.all([generateAuthKeys(), generateAuthKeys()]);
    const judged = async (variables: Record<string, string>): Promise<string | undefined> => {
      await setVariables(standin, variables);
      return of(await findingsOf(at(standin)), "auth-keys")[0]?.level;
    };
    expect(await judged({ JWKS: one.jwks })).toBe("warning");
    expect(await judged({ JWT_PRIVATE_KEY: other.jwtPrivateKey })).toBe("error");
    expect(await judged({ JWT_PRIVATE_KEY: one.jwtPrivateKey.slice(0, 200) })).toBe("error");
    expect(await judged({ JWT_PRIVATE_KEY: one.jwtPrivateKey })).toBe("ok");
    const both = JSON.stringify({ keys: [...JSON.parse(one.jwks).keys, ...JSON.parse(other.jwks).keys] });
    expect(await judged({ JWKS: both })).toBe("error");
    expect(await judged({ JWKS: "{" })).toBe("error");
  });

  it("has an issuer without a discovery document", LONG, async () => {
    await using standin = await startStandin({ metrics: false });
    const keys = await generateAuthKeys();
    await setVariables(standin, { JWT_PRIVATE_KEY: keys.jwtPrivateKey, JWKS: keys.jwks });
    await deployApp(standin, { "convex/auth.config.ts": AUTH_CONFIG });
    const findings = await findingsOf(at(standin));
    expect(trouble(findings)).toEqual(["error discovery"]);
    expect(of(findings, "discovery")[0]?.what).toContain("no route");
  });

  it("has issuers that the backend hides", LONG, async () => {
    await using standin = await startStandin({ metrics: false, redactLogs: true });
    await deployApp(standin, { "convex/auth.config.ts": AUTH_CONFIG, "convex/http.ts": HTTP });
    const findings = await findingsOf(at(standin));
    expect(trouble(findings)).toEqual([]);
    expect(of(findings, "issuer")[0]?.what).toContain("hides which auth providers");
  });

  it("is another's: no keys are wanted", LONG, async () => {
    await using standin = await startStandin({ metrics: false });
    const config = 'export default { providers: [{ domain: "https://clerk.example", applicationID: "convex" }] };';
    await deployApp(standin, { "convex/auth.config.ts": config });
    expect(trouble(await findingsOf(at(standin)))).toEqual([]);
    const keys = await generateAuthKeys();
    await setVariables(standin, { JWT_PRIVATE_KEY: keys.jwtPrivateKey, JWKS: keys.jwks });
    const findings = await findingsOf(at(standin));
    expect(trouble(findings)).toEqual(["warning issuer"]);
    expect(of(findings, "issuer")[0]?.what).toContain("https://clerk.example");
  });

  it("has the issuer of before the origins changed", LONG, async () => {
    await using before = await startStandin({ metrics: false });
    const keys = await generateAuthKeys();
    await setVariables(before, { JWT_PRIVATE_KEY: keys.jwtPrivateKey, JWKS: keys.jwks });
    await deployApp(before, { "convex/auth.config.ts": AUTH_CONFIG, "convex/http.ts": HTTP });
    expect(trouble(await findingsOf(at(before)))).toEqual([]);
    // The same data started again on other ports, and so with other origins.
    await before.backend.drain();
    const { instanceName, instanceSecret, directory } = before;
    await using after = await startStandin({ instanceName, instanceSecret, directory, metrics: false });
    const findings = await findingsOf(at(after));
    expect(trouble(findings), JSON.stringify(findings, null, 1)).toEqual(["error issuer"]);
    expect(of(findings, "issuer")[0]?.what).toContain(before.siteUrl);
    await setVariables(after, { ANY: "1" });
    expect(trouble(await findingsOf(at(after)))).toEqual([]);
  });
});

describe("the origins", () => {
  it.each([
    ["", "is empty"],
    ["https://convex.example.com/", "ends with a slash"],
    ["https://example.com/base", "has a path"],
    ["not a url", "is no URL"],
  ])("%j: %s", async (origin, what) => {
    await using standin = await startStandin({ metrics: false });
    await setOrigin(standin, "convexCloud", origin);
    const findings = await findingsOf(at(standin));
    expect(trouble(findings)).toEqual(["error origins"]);
    expect(of(findings, "origins")[0]?.what).toContain(what);
  });

  it("are the server's own, other than here, another instance's or out of reach", async () => {
    const url = "http://convex.example.com";
    const other = "http://other.example.com";
    await using stranger = await startStandin({ instanceName: "stranger" });
    const judged = async (cloud: string, map: Record<string, string>, from = url): Promise<string | undefined> => {
      await using standin = await startStandin({ metrics: false });
      await setOrigin(standin, "convexCloud", cloud === "own" ? standin.url : cloud);
      const http = hosts({ [url]: standin.url, ...(map["other"] === "own" ? { [other]: standin.url } : map) });
      const [found] = of(await findingsOf({ ...at(standin), url: from }, { http }), "origins");
      return `${found?.level}: ${found?.what}`;
    };
    expect(await judged("own", {})).toMatch(/^error: .* only the server itself reaches/);
    expect(await judged("https://convex.example.com", {})).toMatch(/^error: .* and it is reached as/);
    expect(await judged(other, { other: "own" })).toMatch(/^notice: .*both answer/);
    expect(await judged(other, { [other]: stranger.url })).toMatch(/^error: .*another instance answers/);
    expect(await judged(other, { [other]: "http://127.0.0.1:9" })).toMatch(/^error: .*does not answer/);
  });
});

describe("dangerous settings", () => {
  it("leave /metrics open", async () => {
    await using standin = await startStandin();
    expect(trouble(await findingsOf(at(standin)))).toEqual([]);
    expect(of(await findingsOf(at(standin)), "metrics").map(({ level }) => level)).toEqual(["notice", "notice"]);
    const url = "https://convex.example.com";
    const findings = await findingsOf({ ...at(standin), url }, { http: hosts({ [url]: standin.url }) });
    expect(of(findings, "metrics")[0]).toMatchObject({ level: "warning" });
  });
  it("expose the dashboard without TLS", async () => {
    await using page = await new FakeBackend(() => ({ text: "<title>Convex</title>" })).listen();
    const judged = async (dashboardUrl: string): Promise<string | undefined> => {
      const http = hosts({ "http://dash.example.com": page.url, "https://dash.example.com": page.url });
      return of(await findingsOf({ ...at(plain), dashboardUrl }, { http }), "dashboard")[0]?.level;
    };
    expect(await judged("http://dash.example.com")).toBe("error");
    expect(await judged("https://dash.example.com")).toBe("warning");
    expect(await judged(page.url)).toBe("ok");
    expect(await judged("http://127.0.0.1:9")).toBe("warning");
  });
  it("leave it paused, which is told", async () => {
    await using standin = await startStandin({ metrics: false });
    const headers = { authorization: `Convex ${standin.adminKey}`, "content-type": "application/json" };
    await fetch(`${standin.url}/api/v1/pause_deployment`, { method: "POST", headers, body: "{}" });
    const findings = await findingsOf(at(standin));
    expect(trouble(findings)).toEqual([]);
    expect(of(findings, "paused")[0]).toMatchObject({ level: "notice" });
  });
});

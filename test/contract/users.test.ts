import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { variant } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { at, jsonHeaders, send } from "./support/http.ts";
import { push } from "./support/push.ts";
import { withSync } from "./support/sync.ts";

const backend = useBackend();
type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
let keys: Keys;
let other: Keys;
let issuer = "";

const seconds = () => Math.floor(Date.now() / 1000);
interface Token {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  key?: Keys;
}
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Undefined claims are left out. */
async function sign({ header = {}, claims = {}, key = keys }: Token = {}): Promise<string> {
  const all = { sub: "user1|session1", iss: issuer, aud: "convex", iat: seconds(), exp: seconds() + 3600, ...claims };
  const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(payload).setProtectedHeader({ alg: "RS256", ...header }).sign(key.privateKey);
}

const asUser = (path: string, token: string, kind = "query") =>
  backend.send(`/api/${kind}`, {
    method: "POST",
    key: null,
    body: JSON.stringify({ path, args: {} }),
    headers: { ...jsonHeaders, authorization: `Bearer ${token}` },
  });
const who = (token: string) => asUser("messages:who", token);

async function publicKey(pair: Keys, kid?: string): Promise<JWK> {
  const { kty, n, e } = await exportJWK(pair.publicKey);
  return { use: "sig", kty, n, e, ...(kid === undefined ? {} : { kid }) } as JWK;
}
const setJwks = (jwks: unknown) => backend.setEnv({ JWKS: typeof jwks === "string" ? jwks : JSON.stringify(jwks) });

beforeAll(async () => {
  [keys, other] = await Promise.all([
    generateKeyPair("RS256", { extractable: true }),
    generateKeyPair("RS256", { extractable: true }),
  ]);
});

const noneConfigured =
  "No auth provider found matching the given token (no providers configured). Check convex/auth.config.ts.";
const notVerified = {
  code: "Unauthenticated",
  message: "Could not verify OIDC token claim. Check that the token signature is valid and the token hasn't expired.",
};
const notOidc = {
  code: "InvalidAuthHeader",
  message: "Could not parse as OIDC ID token. Token might not be an OIDC-compliant JWT.",
};
const notJwt = {
  code: "InvalidAuthHeader",
  message:
    "Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded parts separated by dots.",
};
const noProvider = (list: string) => ({
  code: "NoAuthProvider",
  message: `No auth provider found matching the given token. Check that your JWT's issuer and audience match one of your configured providers: [${list}]`,
});

describe("no provider", () => {
  it("8.4 401 NoAuthProvider on every endpoint; an HTTP action runs and throws the text", async () => {
    await push(backend, { files: { "http.ts": variant("http.lab.ts") } });
    issuer = String(at((await backend.get("/api/v1/get_canonical_urls")).json, "convexSiteUrl"));
    const token = await sign();
    const expected = { status: 401, json: { code: "NoAuthProvider", message: noneConfigured } };
    expect(await who(token)).toMatchObject(expected);
    expect(
      await backend.send("/api/check_admin_key", { key: null, headers: { authorization: `Bearer ${token}` } }),
    ).toMatchObject(expected);
    const site = await backend.site("/any", { headers: { authorization: `Bearer ${token}` } });
    expect(at(site.json, "identity")).toBe(`error: Error: ${noneConfigured}`);
  });
});

describe("the app as its own issuer (Convex Auth)", () => {
  beforeAll(async () => {
    await push(backend, {
      files: {
        "http.ts": variant("http.lab.ts"),
        "auth.config.ts": variant("auth.config.site.ts"),
        "lab.ts": variant("lab.ts"),
      },
    });
    issuer = String(at((await backend.get("/api/v1/get_canonical_urls")).json, "convexSiteUrl"));
    await setJwks({ keys: [await publicKey(keys)] });
  });

  it("8.4 discovery and keys are served on the site port", async () => {
    const discovery = await backend.site("/.well-known/openid-configuration");
    expect(discovery.json).toMatchObject({ issuer, jwks_uri: `${issuer}/.well-known/jwks.json` });
    expect(at((await backend.site("/.well-known/jwks.json")).json, "keys", 0, "kty")).toBe("RSA");
  });

  it("8.4 a token without kid is accepted by queries, mutations, actions and HTTP actions", async () => {
    const identity = { issuer, subject: "user1|session1", tokenIdentifier: `${issuer}|user1|session1` };
    const token = await sign();
    expect((await who(token)).json).toEqual({ status: "success", value: identity });
    expect(at((await asUser("lab:whoMutation", token, "mutation")).json, "value")).toEqual(identity);
    expect(at((await asUser("lab:whoAction", token, "action")).json, "value")).toEqual(identity);
    const site = await backend.site("/any", { headers: { authorization: `Bearer ${token}` } });
    expect(at(site.json, "identity")).toEqual(identity);
  });

  it("8.4 and over the websocket", async () => {
    const token = await sign();
    await withSync(backend.url, async (client) => {
      client
        .connect()
        .authenticate(token, "User")
        .add([{ path: "messages:who" }]);
      expect(at(await client.result(0), "value", "subject")).toBe("user1|session1");
    });
  });

  it("8.4 on an admin endpoint a valid user token is 403 BadDeployKey", async () => {
    const headers = { authorization: `Bearer ${await sign()}` };
    expect(await backend.send("/api/check_admin_key", { key: null, headers })).toMatchObject({
      status: 403,
      json: { code: "BadDeployKey" },
    });
  });

  it("8.4 known claims are renamed, unknown ones come as they are", async () => {
    const claims = { name: "N", email: "e@x.example", email_verified: true, picture: "https://x/p", custom: { a: 1 } };
    expect(at((await who(await sign({ claims }))).json, "value")).toMatchObject({
      name: "N",
      email: "e@x.example",
      emailVerified: true,
      pictureUrl: "https://x/p",
      custom: { a: 1 },
    });
  });

  const accepted: [string, () => Token][] = [
    ["typ in the header", () => ({ header: { typ: "JWT" } })],
    ["iat in the future", () => ({ claims: { iat: seconds() + 3600 } })],
    ["nbf in the future", () => ({ claims: { nbf: seconds() + 3600 } })],
  ];
  it.each(accepted)("8.4 accepted: %s", async (_label, token) => {
    expect((await who(await sign(token()))).status).toBe(200);
  });

  const refused: [string, () => Token, number, () => object][] = [
    [
      "another audience",
      () => ({ claims: { aud: "other" } }),
      401,
      () => noProvider(`OIDC(domain=${issuer}, app_id=convex)`),
    ],
    [
      "no audience",
      () => ({ claims: { aud: undefined } }),
      401,
      () => noProvider(`OIDC(domain=${issuer}, app_id=convex)`),
    ],
    [
      "another issuer",
      () => ({ claims: { iss: "https://other.example" } }),
      401,
      () => noProvider(`OIDC(domain=${issuer}, app_id=convex)`),
    ],
    ["no issuer", () => ({ claims: { iss: undefined } }), 401, () => ({ code: "InvalidAuthHeader" })],
    [
      "an issuer with a trailing slash",
      () => ({ claims: { iss: `${issuer}/` } }),
      400,
      () => ({ code: "AuthProviderDiscoveryFailed", message: `Auth provider discovery of ${issuer}/ failed` }),
    ],
    ["a list as audience", () => ({ claims: { aud: ["convex"] } }), 401, () => notVerified],
    ["expired a second ago", () => ({ claims: { exp: seconds() - 1 } }), 401, () => notVerified],
    ["a kid that the JWKS does not have", () => ({ header: { kid: "a" } }), 401, () => notVerified],
    ["another key", () => ({ key: other }), 401, () => notVerified],
    ["no exp", () => ({ claims: { exp: undefined } }), 401, () => notOidc],
    ["no iat", () => ({ claims: { iat: undefined } }), 401, () => notOidc],
    ["no sub", () => ({ claims: { sub: undefined } }), 401, () => notOidc],
  ];
  it.each(refused)("8.4 refused: %s", async (_label, token, status, json) => {
    const answer = await who(await sign(token()));
    expect(answer.json).toMatchObject(json());
    expect(answer.status).toBe(status);
  });

  it("8.4 refused: alg none, HS256, an empty signature, a changed payload", async () => {
    const [head = "", body = "", signature = ""] = (await sign()).split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
    const tokens = [
      `${encode({ alg: "none" })}.${body}.`,
      `${encode({ alg: "HS256" })}.${body}.${signature}`,
      `${head}.${body}.`,
      `${head}.${encode({ ...claims, sub: "somebody else" })}.${signature}`,
    ];
    for (const token of tokens)
      expect(await who(token)).toMatchObject({ status: 401, json: { code: "Unauthenticated" } });
  });

  it("8.4 refused: not a JWT, claims of a wrong type, nothing after Bearer", async () => {
    const [head, , signature] = (await sign()).split(".");
    const wrongType = `${head}.${encode({ sub: "s", iss: issuer, aud: "convex", iat: seconds(), exp: "x" })}.${signature}`;
    for (const token of ["abc", "a.b.c", wrongType])
      expect(await who(token)).toMatchObject({ status: 401, json: notJwt });
    const empty = await backend.send("/api/query", {
      method: "POST",
      key: null,
      body: JSON.stringify({ path: "messages:who", args: {} }),
      headers: { ...jsonHeaders, authorization: "Bearer " },
    });
    expect(empty).toMatchObject({ status: 400, json: { code: "InvalidHeaderFailure" } });
  });

  it("8.4 over the websocket a refusal is AuthError with the same text, close 1005", async () => {
    const token = await sign({ claims: { exp: seconds() - 10 } });
    await withSync(backend.url, async (client) => {
      client.connect().authenticate(token, "User");
      expect((await client.whenClosed()).code).toBe(1005);
      expect(client.frames[0]).toMatchObject({ type: "AuthError", error: notVerified.message });
    });
  });

  it("8.4 a new JWKS is used at once and voids the old tokens; two keys need a kid in both and in the token", async () => {
    const old = await sign();
    await setJwks({ keys: [await publicKey(other)] });
    expect((await who(await sign({ key: other }))).status).toBe(200);
    expect(await who(old)).toMatchObject({ status: 401, json: notVerified });
    await setJwks({ keys: [await publicKey(other), await publicKey(keys)] });
    expect(await who(old)).toMatchObject({ status: 401, json: notVerified });
    await setJwks({ keys: [await publicKey(other, "two"), await publicKey(keys, "one")] });
    expect((await who(await sign({ header: { kid: "one" } }))).status).toBe(200);
    expect((await who(await sign({ header: { kid: "two" }, key: other }))).status).toBe(200);
    await setJwks({ keys: [await publicKey(keys)] });
  });

  it("8.4 JWKS not set, no JSON, or without keys: discovery fails with 400", async () => {
    const failed = {
      status: 400,
      json: { code: "AuthProviderDiscoveryFailed", message: `Auth provider discovery of ${issuer} failed` },
    };
    for (const text of ["{}", "no json"]) {
      await setJwks(text);
      expect(await who(await sign())).toMatchObject(failed);
    }
    await backend.setEnv({ JWKS: null });
    expect(await who(await sign())).toMatchObject(failed);
    await setJwks({ keys: [] });
    expect(await who(await sign())).toMatchObject({ status: 401, json: notVerified });
    await setJwks({ keys: [await publicKey(keys)] });
  });

  it("8.4 discovery that answers 404 is passed on", async () => {
    await push(backend, { files: { "auth.config.ts": variant("auth.config.site.ts") } });
    const answer = await who(await sign());
    expect(answer).toMatchObject({ status: 404, json: { code: "AuthProviderDiscoveryFailed" } });
    expect(at(answer.json, "message")).toBe(
      `Auth provider discovery of ${issuer} failed: 404 Not Found No matching routes found`,
    );
  });
});

describe("customJwt", () => {
  const custom = (
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = { kid: "c1", typ: "JWT" },
    key?: Keys,
  ) => sign({ header, claims: { iss: "https://custom.example", aud: "custom", ...claims }, ...(key ? { key } : {}) });
  const dataUrl = (jwks: unknown) =>
    `data:text/plain;charset=utf-8;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`;
  const setKeys = async (list: unknown[]) => backend.setEnv({ CUSTOM_JWKS_URL: dataUrl({ keys: list }) });
  const decode = (text: string) => ({ code: "InvalidAuthHeader", message: text });
  const badKid =
    "Could not decode token. The JWT's 'kid' (key ID) header is 'c1', does this key match any key in the provider's JWKS?";

  beforeAll(async () => {
    await setKeys([{ ...(await publicKey(keys, "c1")), alg: "RS256" }]);
    await push(backend, { files: { "auth.config.ts": variant("auth.config.custom-jwt.ts") } });
  });

  it("3.1 accepted: string or list audience, no typ, no iat, issuer with or without slash", async () => {
    for (const claims of [{}, { aud: ["z", "custom"] }, { iat: undefined }, { iss: "https://custom.example/" }]) {
      expect((await who(await custom(claims))).status).toBe(200);
    }
    expect((await who(await custom({}, { kid: "c1" }))).status).toBe(200);
  });

  it("3.1 nested claims are flattened", async () => {
    const answer = await who(await custom({ name: "N", email: "e@x", custom: { a: 1 } }));
    expect(at(answer.json, "value")).toEqual({
      "custom.a": 1,
      email: "e@x",
      issuer: "https://custom.example",
      name: "N",
      subject: "user1|session1",
      tokenIdentifier: "https://custom.example|user1|session1",
    });
  });

  const refused: [string, () => Promise<string>, object][] = [
    [
      "a wrong audience",
      () => custom({ aud: "x" }),
      noProvider("CustomJWT(issuer=https://custom.example, app_id=custom)"),
    ],
    [
      "expired",
      () => custom({ exp: seconds() - 3600 }),
      {
        code: "InvalidAuthHeader",
        message: expect.stringMatching(/^Could not validate token: Token expired 360\d seconds ago$/),
      },
    ],
    [
      "iat in the future",
      () => custom({ iat: seconds() + 3600 }),
      {
        code: "InvalidAuthHeader",
        message: expect.stringMatching(/^Could not validate token: Token will be valid in 35\d\d|36\d\d seconds$/),
      },
    ],
    [
      "no exp",
      () => custom({ exp: undefined }),
      decode(
        "Could not verify token claim. Check that the JWT contains valid claims and matches your auth provider configuration.",
      ),
    ],
    [
      "no sub",
      () => custom({ sub: undefined }),
      decode(
        "Could not verify token claim. Check that the JWT contains valid claims and matches your auth provider configuration.",
      ),
    ],
    [
      "no kid",
      () => custom({}, { typ: "JWT" }),
      decode("Could not decode token. JWT may be missing a 'kid' (key ID) header."),
    ],
    ["another key", () => custom({}, { kid: "c1" }, other), decode(badKid)],
    ["an unknown kid", () => custom({}, { kid: "k9" }), decode(badKid.replace("'c1'", "'k9'"))],
  ];
  it.each(refused)("3.1 refused: %s", async (_label, token, json) => {
    const answer = await who(await token());
    expect(answer.json).toMatchObject(json);
    expect(answer.status).toBe(401);
  });

  it("3.1 refused: no third part, alg none, HS256, RS512", async () => {
    const [head = "", body = "", signature = ""] = (await custom()).split(".");
    const tokens = [`${head}.${body}`, `${head}.${body}.`];
    for (const alg of ["none", "HS256", "RS512"])
      tokens.push(`${encode({ alg, kid: "c1", typ: "JWT" })}.${body}.${signature}`);
    for (const token of tokens) expect(await who(token)).toMatchObject({ status: 401, json: decode(badKid) });
  });

  it("3.1 a JWKS entry without kid never matches; a JWKS without keys neither", async () => {
    const good = { ...(await publicKey(keys, "c1")), alg: "RS256" };
    await setKeys([await publicKey(keys)]);
    expect(await who(await custom())).toMatchObject({ status: 401, json: decode(badKid) });
    await setKeys([]);
    expect(await who(await custom())).toMatchObject({ status: 401, json: decode(badKid) });
    await setKeys([good]);
  });

  it("3.1 a JWKS that is no JSON, or cannot be reached", async () => {
    await backend.setEnv({ CUSTOM_JWKS_URL: "data:text/plain,hello" });
    expect(at((await who(await custom())).json, "message")).toBe(
      "Invalid JWKS response body from 'data:text/plain,hello'. The response is not valid JSON or doesn't match the expected JWKS format.",
    );
    await backend.setEnv({ CUSTOM_JWKS_URL: "http://127.0.0.1:1/jwks" });
    expect(at((await who(await custom())).json, "message")).toBe(
      "Could not fetch JWKS from URL 'http://127.0.0.1:1/jwks': error sending request for url (http://127.0.0.1:1/jwks). Check that the URL is correct and accessible.",
    );
    await setKeys([{ ...(await publicKey(keys, "c1")), alg: "RS256" }]);
    expect((await send(backend.url, "/version")).status).toBe(200);
  });
});

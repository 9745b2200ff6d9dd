import { createServer, type Server } from "node:http";
import { type CryptoKey, exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiError } from "../../standin/types.ts";
import { type Provider, verifyToken } from "../../standin/users.ts";

const NOW_S = 1_795_427_000;
let server: Server;
let issuer: string;
let key: CryptoKey;
let otherKey: CryptoKey;
let jwk: object;
/** What the issuer answers, by path. */
const answers = new Map<string, { status: number; body: string }>();

beforeAll(async () => {
  const pair = await generateKeyPair("RS256", { extractable: true });
  key = pair.privateKey;
  otherKey = (await generateKeyPair("RS256")).privateKey;
  jwk = { use: "sig", ...(await exportJWK(pair.publicKey)) };
  server = createServer((request, response) => {
    const { status, body } = answers.get(request.url ?? "") ?? { status: 404, body: "No matching routes found" };
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  issuer = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
});
afterAll(() => server.close());

function discovery(keys: unknown): void {
  const body = JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` });
  answers.set("/.well-known/openid-configuration", { status: 200, body });
  answers.set("/jwks", { status: 200, body: typeof keys === "string" ? keys : JSON.stringify({ keys }) });
}

const good = () => ({ sub: "user1|s1", iss: issuer, aud: "convex", iat: NOW_S, exp: NOW_S + 3600 });

function sign(claims: object, header: Partial<JWTHeaderParameters> = {}, by = key): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: "RS256", ...header }).sign(by);
}

async function verify(token: string, providers: readonly Provider[], redact = false): Promise<unknown> {
  const context = { providers, redact, nowMs: () => NOW_S * 1000 };
  return verifyToken(token, context).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
    return [error.status, error.code, error.message];
  });
}

const oidc = (): Provider[] => [{ domain: issuer, applicationID: "convex" }];
const unverified = [
  401,
  "Unauthenticated",
  "Could not verify OIDC token claim. Check that the token signature is valid and the token hasn't expired.",
];
const noOidc = [
  401,
  "InvalidAuthHeader",
  "Could not parse as OIDC ID token. Token might not be an OIDC-compliant JWT.",
];

describe("the app as its own issuer (contract 8.4)", () => {
  it("accepts a token of it, and shows claims under Convex's names", async () => {
    discovery([jwk]);
    const claims = { ...good(), email_verified: true, picture: "p", custom: { a: 1 }, address: { formatted: "A" } };
    const time = { updated_at: "2026-01-01T00:00:00Z" };
    expect(await verify(await sign({ ...claims, ...time }), oidc())).toEqual({
      tokenIdentifier: `${issuer}|user1|s1`,
      issuer,
      subject: "user1|s1",
      emailVerified: true,
      pictureUrl: "p",
      custom: { a: 1 },
      address: "A",
      updatedAt: "2026-01-01T00:00:00+00:00",
    });
  });

  it.each<[string, object, unknown]>([
    ["iat in the future", { iat: NOW_S + 3600 }, expect.objectContaining({ subject: "user1|s1" })],
    ["nbf in the future", { nbf: NOW_S + 3600 }, expect.objectContaining({ subject: "user1|s1" })],
    ["expired a second ago", { exp: NOW_S - 1 }, unverified],
    ["a list as audience", { aud: ["convex"] }, unverified],
    ["no exp", { exp: undefined }, noOidc],
    ["no iat", { iat: undefined }, noOidc],
    ["no sub", { sub: undefined }, noOidc],
  ])("%s", async (_what, change, expected) => {
    discovery([jwk]);
    expect(await verify(await sign({ ...good(), ...change }), oidc())).toEqual(expected);
  });

  it("wants one key that fits", async () => {
    const token = await sign(good());
    const named = { ...jwk, kid: "k1" };
    discovery([jwk]);
    expect(await verify(await sign(good(), {}, otherKey), oidc())).toEqual(unverified);
    expect(await verify(await sign(good(), { kid: "a" }), oidc())).toEqual(unverified);
    expect(await verify(`${token.split(".").slice(0, 2).join(".")}.`, oidc())).toEqual(unverified);
    discovery([jwk, jwk]);
    expect(await verify(token, oidc())).toEqual(unverified);
    discovery([named, { ...jwk, kid: "k2" }]);
    expect(await verify(token, oidc())).toEqual(unverified);
    expect(await verify(await sign(good(), { kid: "k1" }), oidc())).toMatchObject({ subject: "user1|s1" });
    discovery([]);
    expect(await verify(token, oidc())).toEqual(unverified);
  });

  it("names what is wrong with the discovery", async () => {
    const token = await sign(good());
    const failed = [400, "AuthProviderDiscoveryFailed", `Auth provider discovery of ${issuer} failed`];
    discovery("no json");
    expect(await verify(token, oidc())).toEqual(failed);
    discovery("{}");
    expect(await verify(token, oidc())).toEqual(failed);
    answers.delete("/.well-known/openid-configuration");
    expect(await verify(token, oidc())).toEqual([
      404,
      "AuthProviderDiscoveryFailed",
      `Auth provider discovery of ${issuer} failed: 404 Not Found No matching routes found`,
    ]);
    const nobody = "http://127.0.0.1:1";
    expect(await verify(await sign({ ...good(), iss: nobody }), [{ domain: nobody, applicationID: "convex" }])).toEqual(
      [400, "AuthProviderDiscoveryFailed", `Auth provider discovery of ${nobody} failed`],
    );
    const slashed = await sign({ ...good(), iss: `${issuer}/` });
    discovery([jwk]);
    expect(await verify(slashed, oidc())).toEqual([
      400,
      "AuthProviderDiscoveryFailed",
      `Auth provider discovery of ${issuer}/ failed`,
    ]);
  });
});

describe("which provider a token belongs to (contract 3.1)", () => {
  const custom: Provider = {
    type: "customJwt",
    issuer: "https://custom.example",
    jwks: "data:,x",
    algorithm: "RS256",
    applicationID: "x",
  };
  const list = "[OIDC(domain=https://b.example, app_id=convex), CustomJWT(issuer=https://custom.example, app_id=x)]";
  const text = "No auth provider found matching the given token";

  it("lists the providers, OIDC first, unless logs are redacted", async () => {
    const providers = [custom, { domain: "https://b.example", applicationID: "convex" }];
    const advice = "Check that your JWT's issuer and audience match one of your configured providers";
    const token = await sign({ ...good(), iss: "https://else.example" });
    expect(await verify(token, providers)).toEqual([401, "NoAuthProvider", `${text}. ${advice}: ${list}`]);
    expect(await verify(token, providers, true)).toEqual([401, "NoAuthProvider", `${text}. ${advice}`]);
    expect(await verify(token, [])).toEqual([
      401,
      "NoAuthProvider",
      `${text} (no providers configured). Check convex/auth.config.ts.`,
    ]);
  });

  it.each(["abc", "a.b", "lab|0102", "e30.W10.x"])("%s is no JWT", async (token) => {
    expect(await verify(token, [custom])).toEqual([
      401,
      "InvalidAuthHeader",
      "Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded parts separated by dots.",
    ]);
  });

  it("wants an issuer", async () => {
    const { iss: _, ...claims } = good();
    expect(await verify(await sign(claims), [custom])).toEqual([
      401,
      "InvalidAuthHeader",
      expect.stringMatching(/^Missing issuer claim/),
    ]);
  });
});

describe("custom JWTs (contract 3.1)", () => {
  const iss = "https://custom.example";
  const claims = { sub: "u", iss, aud: ["z", "x"], iat: NOW_S, exp: NOW_S + 60, custom: { a: 1 } };
  const undecodable =
    "Could not decode token. The JWT's 'kid' (key ID) header is 'k1', does this key match any key in the provider's JWKS?";
  const provider = (jwks: unknown, applicationID: string | undefined = "x"): Provider => {
    const url = typeof jwks === "string" ? jwks : `data:application/json,${encodeURIComponent(JSON.stringify(jwks))}`;
    return { type: "customJwt", issuer: iss, jwks: url, algorithm: "RS256", applicationID };
  };
  const named = () => provider({ keys: [{ ...jwk, kid: "k1", alg: "RS256" }] });

  it("flattens nested claims, and does not mind a slash behind the issuer", async () => {
    const token = await sign({ ...claims, iss: `${iss}/` }, { kid: "k1" });
    expect(await verify(token, [named()])).toEqual({
      tokenIdentifier: `${iss}/|u`,
      issuer: `${iss}/`,
      subject: "u",
      "custom.a": 1,
    });
  });

  it("wants a kid in token and key set, the right algorithm and signature", async () => {
    expect(await verify(await sign(claims), [named()])).toEqual([
      401,
      "InvalidAuthHeader",
      "Could not decode token. JWT may be missing a 'kid' (key ID) header.",
    ]);
    const token = await sign(claims, { kid: "k1" });
    expect(await verify(token, [provider({ keys: [jwk] })])).toEqual([401, "InvalidAuthHeader", undecodable]);
    expect(await verify(await sign(claims, { kid: "k1" }, otherKey), [named()])).toEqual([
      401,
      "InvalidAuthHeader",
      undecodable,
    ]);
  });

  it.each<[string, object, string]>([
    ["expired", { exp: NOW_S - 12 }, "Could not validate token: Token expired 12 seconds ago"],
    ["not yet valid", { iat: NOW_S + 3597 }, "Could not validate token: Token will be valid in 3597 seconds"],
    [
      "no exp",
      { exp: undefined },
      "Could not verify token claim. Check that the JWT contains valid claims and matches your auth provider configuration.",
    ],
  ])("%s", async (_what, change, message) => {
    const token = await sign({ ...claims, ...change }, { kid: "k1" });
    expect(await verify(token, [named()])).toEqual([401, "InvalidAuthHeader", message]);
  });

  it("names a key set that cannot be read", async () => {
    const token = await sign(claims, { kid: "k1" });
    expect(await verify(token, [provider("data:text/plain,hello")])).toMatchObject([
      401,
      "InvalidAuthHeader",
      "Invalid JWKS response body from 'data:text/plain,hello'. The response is not valid JSON or doesn't match the expected JWKS format.",
    ]);
    const url = "http://127.0.0.1:1/jwks";
    expect(await verify(token, [provider(url)])).toEqual([
      401,
      "InvalidAuthHeader",
      `Could not fetch JWKS from URL '${url}': error sending request for url (${url}). Check that the URL is correct and accessible.`,
    ]);
  });
});

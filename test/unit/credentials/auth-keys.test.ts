import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createLocalJWKSet, importPKCS8, jwtVerify, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { authVariables, generateAuthKeys, readAuthKeys } from "../../../src/credentials/auth-keys.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = (key: KeyObject, type: "pkcs8" | "pkcs1"): string => key.export({ format: "pem", type }).toString();
const PKCS8 = pem(privateKey, "pkcs8");
const PKCS1 = pem(privateKey, "pkcs1");
const ONE_LINE = PKCS8.trimEnd().replaceAll("\n", " ");
const JWK = publicKey.export({ format: "jwk" });
const JWKS = `{"keys":[{"use":"sig","kty":"RSA","n":"${JWK.n ?? ""}","e":"AQAB"}]}`;

async function refusal(text: string): Promise<ActionError> {
  const error: unknown = await readAuthKeys(text).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ActionError);
  return error as ActionError;
}

describe("fresh keys", () => {
  it("have the form of contract 4.4 and sign what they verify", async () => {
    const keys = await generateAuthKeys();
    expect(keys.jwtPrivateKey).toMatch(/^-----BEGIN PRIVATE KEY----- [A-Za-z0-9+/= ]+ -----END PRIVATE KEY-----$/);
    expect(keys.jwtPrivateKey.length).toBeGreaterThan(1600);
    expect(keys.jwks).toMatch(/^\{"keys":\[\{"use":"sig","kty":"RSA","n":"[\w-]+","e":"AQAB"\}\]\}$/);
    expect(keys.notice).toBeUndefined();
    const key = await importPKCS8(keys.jwtPrivateKey, "RS256");
    const token = await new SignJWT({ sub: "a" }).setProtectedHeader({ alg: "RS256" }).sign(key);
    const { payload } = await jwtVerify(token, createLocalJWKSet(JSON.parse(keys.jwks) as { keys: [] }));
    expect(payload.sub).toBe("a");
    expect((await generateAuthKeys()).jwks).not.toBe(keys.jwks);
  });
});

describe("given keys", () => {
  it.each([
    ["PKCS#8", PKCS8, undefined],
    ["PKCS#8 with CRLF", PKCS8.replaceAll("\n", "\r\n"), undefined],
    ["one line with blanks", ONE_LINE, undefined],
    ["PKCS#1", PKCS1, "jwt-private-key was converted from PKCS#1 to PKCS#8."],
    [
      "PKCS#1 on one line",
      PKCS1.trimEnd().replaceAll("\n", " "),
      "jwt-private-key was converted from PKCS#1 to PKCS#8.",
    ],
    ["\\n escapes", PKCS8.replaceAll("\n", "\\n"), "jwt-private-key was converted from one line with \\n."],
    ["base64", Buffer.from(PKCS8).toString("base64"), "jwt-private-key was converted from base64."],
    [
      "wrapped base64",
      Buffer.from(PKCS8).toString("base64").replace(/.{76}/g, "$&\n"),
      "jwt-private-key was converted from base64.",
    ],
    ["base64url", Buffer.from(PKCS8).toString("base64url"), "jwt-private-key was converted from base64."],
    [
      "base64 of PKCS#1",
      Buffer.from(PKCS1).toString("base64"),
      "jwt-private-key was converted from base64 and from PKCS#1 to PKCS#8.",
    ],
    ["quotes", JSON.stringify(PKCS8), "jwt-private-key was converted from a quoted text and from one line with \\n."],
  ])("are taken as %s", async (_label, text, notice) => {
    const keys = await readAuthKeys(text);
    expect(keys.jwtPrivateKey).toBe(ONE_LINE);
    expect(keys.jwks).toBe(JWKS);
    expect(keys.notice).toBe(notice);
  });

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const pss = generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).privateKey;
  const short = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const locked = { format: "pem", cipher: "aes-256-cbc", passphrase: "x" } as const;
  it.each([
    ["empty", "  ", "jwt-private-key-unreadable"],
    ["garbage", "what is this", "jwt-private-key-unreadable"],
    ["base64 of garbage", Buffer.from("what is this").toString("base64"), "jwt-private-key-unreadable"],
    ["cut off at the end", PKCS8.slice(0, 900), "jwt-private-key-unreadable"],
    ["cut out of the middle", PKCS8.slice(0, 300) + PKCS8.slice(900), "jwt-private-key-unreadable"],
    ["a public key", publicKey.export({ format: "pem", type: "spki" }).toString(), "jwt-private-key-public"],
    ["encrypted PKCS#8", privateKey.export({ ...locked, type: "pkcs8" }).toString(), "jwt-private-key-encrypted"],
    ["encrypted PKCS#1", privateKey.export({ ...locked, type: "pkcs1" }).toString(), "jwt-private-key-encrypted"],
    ["an EC key", pem(ec, "pkcs8"), "jwt-private-key-type"],
    ["a SEC1 key", ec.export({ format: "pem", type: "sec1" }).toString(), "jwt-private-key-type"],
    ["RSA-PSS", pem(pss, "pkcs8"), "jwt-private-key-type"],
    ["1,024 bits", pem(short, "pkcs8"), "jwt-private-key-short"],
    ["a JWK", JSON.stringify(privateKey.export({ format: "jwk" })), "jwt-private-key-unreadable"],
  ])("are refused without being shown: %s", async (_label, text, code) => {
    const error = await refusal(text);
    expect(error.code).toBe(code);
    expect(error.cause).toBeUndefined();
    for (const line of text.split("\n").filter((line) => line.length > 20 && !line.startsWith("-----"))) {
      expect(error.text).not.toContain(line.slice(0, 20));
    }
  });

  it("are refused when they are damaged where the format does not notice it", async () => {
    const jwk = privateKey.export({ format: "jwk" });
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
    const { createPrivateKey } = await import("node:crypto");
    const mixed = createPrivateKey({
      key: { ...jwk, d: other.d ?? "", dp: other.dp ?? "", dq: other.dq ?? "" },
      format: "jwk",
    });
    expect((await refusal(pem(mixed, "pkcs8"))).code).toMatch(/^jwt-private-key-un(proven|readable)$/);
  });
});

describe("the variables of Convex Auth", () => {
  it("are four, SITE_URL only where the app has a URL", () => {
    const keys = { jwtPrivateKey: "k", jwks: "j" };
    expect(authVariables(keys, { siteOrigin: "http://127.0.0.1:3211", appUrl: "http://localhost:5173" })).toEqual({
      JWT_PRIVATE_KEY: "k",
      JWKS: "j",
      JWT_ISSUER: "http://127.0.0.1:3211",
      SITE_URL: "http://localhost:5173",
    });
    expect(authVariables(keys, { siteOrigin: "s" })).not.toHaveProperty("SITE_URL");
  });
});

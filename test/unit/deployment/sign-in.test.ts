import { describe, expect, it } from "vitest";
import { checkSignIn } from "../../../src/deployment/sign-in.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Answer, FakeBackend, type Seen } from "./support.ts";

// What the backend calls its site; this job reaches it under another address.
const ORIGIN = "http://site.example:3211";
const KEY = { use: "sig", kty: "RSA", n: "abc", e: "AQAB" };
const JWKS = JSON.stringify({ keys: [KEY] });

async function check(discovery: Answer, keys: Answer, jwks?: string): Promise<string> {
  const answer = ({ url }: Seen): Answer => (url === "/.well-known/openid-configuration" ? discovery : keys);
  await using site = await new FakeBackend(answer).listen();
  const findings = await checkSignIn(systemHttp, {
    siteUrl: site.url,
    siteOrigin: ORIGIN,
    ...(jwks === undefined ? {} : { jwks }),
  });
  const [finding] = findings;
  return `${findings.length} ${finding?.level} ${finding?.code}`;
}

const GOOD: Answer = {
  json: { issuer: ORIGIN, jwks_uri: `${ORIGIN}/.well-known/jwks.json`, authorization_endpoint: "x" },
};
const KEYS: Answer = { json: { keys: [KEY] } };

describe("an app that is its own issuer (contract 8.4, 12)", () => {
  it("is fine when discovery and keys answer, reached by this job's address", async () => {
    expect(await check(GOOD, KEYS, JWKS)).toBe("1 ok sign-in-ok");
    expect(await check(GOOD, KEYS)).toBe("1 ok sign-in-ok");
  });

  it.each([
    ["no routes", { status: 404, text: "No matching routes found" }, KEYS, "sign-in-discovery-missing"],
    ["a discovery document that throws", { status: 500, json: { code: "x" } }, KEYS, "sign-in-discovery-invalid"],
    ["no document", { text: "hello" }, KEYS, "sign-in-discovery-invalid"],
    ["a slash at the end", { json: { issuer: `${ORIGIN}/`, jwks_uri: "x" } }, KEYS, "sign-in-issuer-mismatch"],
    [
      "keys not set",
      GOOD,
      { status: 500, json: { code: "Missing environment variable `JWKS`" } },
      "sign-in-keys-missing",
    ],
    ["keys not set in an old Convex Auth", GOOD, { text: "" }, "sign-in-keys-missing"],
    ["no keys in the list", GOOD, { json: { keys: [] } }, "sign-in-keys-missing"],
    ["two keys without kid", GOOD, { json: { keys: [KEY, KEY] } }, "sign-in-keys-ambiguous"],
    ["other keys than pushed", GOOD, { json: { keys: [{ ...KEY, n: "other" }] } }, "sign-in-keys-mismatch"],
  ] as [string, Answer, Answer, string][])("is not with %s", async (_label, discovery, keys, code) => {
    expect(await check(discovery, keys, JWKS)).toBe(`1 error ${code}`);
    // Without keys of ours nobody asked for sign-in; other keys are then the app's own business.
    expect(await check(discovery, keys)).toBe(
      code === "sign-in-keys-mismatch" ? "1 ok sign-in-ok" : `1 warning ${code}`,
    );
  });

  it("is not when nobody listens", async () => {
    const site = await new FakeBackend(() => ({})).listen();
    const siteUrl = site.url;
    await site[Symbol.asyncDispose]();
    const [finding] = await checkSignIn(systemHttp, { siteUrl, siteOrigin: ORIGIN, jwks: JWKS });
    expect(finding).toMatchObject({ level: "error", code: "sign-in-unreachable" });
  });
});

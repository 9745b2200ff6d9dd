import { describe, expect, it } from "vitest";
import { openAdminKey } from "../../standin/admin-keys.ts";
import { Identities } from "../../standin/identity.ts";

// Vectors of contract 2.4; the secrets were made for it.
const devSecret = Buffer.from("4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974", "hex");
const secret = Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => i));
const current = "01000102030405060708090a0b1e5c06d46516f3f5fa3e99f5af81a957a2adc6f04983839e";
const readOnly = "01ffeeddccbbaa998877665544b4c1a4c30068bd83d1d724d98fd404c763ed2303c7c005fc1200";
const system = "01000102030405060708090a0b02d1e6b51392c3629fccc9b236df878150b83bb7179fabb5";
const legacy = "01000102030405060708090a0b0c0d0e0f101112131415161735c3d3dc18eb6fca75ec37f174cda017327ebb467bb4f101";
const issued = "01c3dac21d69c80d024ec1f0a1cbead10f95239f3ecc003700c4251dd453aa4ff96a705a65";

describe("admin keys (contract 2)", () => {
  it("opens both formats and tells the kinds apart", () => {
    const admin = { kind: "admin", readOnly: false, instanceName: undefined };
    expect(openAdminKey(current, devSecret)).toEqual(admin);
    expect(openAdminKey(legacy, devSecret)).toEqual(admin);
    expect(openAdminKey(issued, secret)).toEqual(admin);
    expect(openAdminKey(readOnly.toUpperCase(), secret)).toEqual({ ...admin, readOnly: true });
    expect(openAdminKey(system, secret)).toEqual({ ...admin, kind: "system" });
  });

  it("refuses another secret, a flipped bit, a cut key, another version, no hex, and new keys on an old backend", () => {
    const flipped = current.replace(/e$/, "f");
    for (const hex of [readOnly, flipped, current.slice(0, -2), `02${current.slice(2)}`, "zz", ""]) {
      expect(openAdminKey(hex, devSecret)).toBeUndefined();
    }
    expect(openAdminKey(current, devSecret, { legacyOnly: true })).toBeUndefined();
    expect(openAdminKey(legacy, devSecret, { legacyOnly: true })).toBeDefined();
  });
});

describe("the Authorization header (contract 3.1)", () => {
  const identities = new Identities({ name: "convex-self-hosted", secret, like: "m14" });
  const key = `convex-self-hosted|${issued}`;
  const refusal = async (header: string) => {
    const error = await identities.byHeader(header).then(
      () => undefined,
      (e: unknown) => e,
    );
    return error instanceof Error && "status" in error && "code" in error
      ? `${error.status} ${error.code}`
      : "accepted";
  };

  it.each([
    [`Convex ${key}`, "accepted"],
    [`convex ${key}  `, "accepted"],
    [`Convex prod:${key}`, "accepted"],
    [`Convex :${key}`, "accepted"],
    [`Convex  ${key}`, "401 BadAdminKey"],
    [`Convex other|${issued}`, "401 BadAdminKey"],
    [`Convex preview:${key}`, "401 BadAdminKey"],
    [`Convex preview:team:project|${issued}`, "401 BadAdminKey"],
    [`Convex ${issued}`, "401 BadAdminKey"],
    [`Convex a:b:${key}`, "400 HeaderParseFailure"],
    [`Convex ${key}:bm90IGpzb24=`, "400 HeaderParseFailure"],
    [`Convex\t${key}`, "400 InvalidAdminKey"],
    [`Convex${key}`, "400 InvalidAdminKey"],
    [key, "400 InvalidAdminKey"],
    ["Basic abc", "400 InvalidAdminKey"],
    ["Convex ", "400 InvalidHeaderFailure"],
    ["abc", "400 InvalidHeaderFailure"],
    ["", "400 InvalidHeaderFailure"],
  ])("%s: %s", async (header, expected) => {
    expect(await refusal(header)).toBe(expected);
  });

  it("lets a key act as a user", async () => {
    const user = Buffer.from(JSON.stringify({ subject: "s", issuer: "https://i", n: 1 })).toString("base64");
    expect(await identities.byHeader(`Convex ${key}:${user}`)).toMatchObject({
      kind: "acting",
      key: "admin",
      user: { subject: "s", issuer: "https://i", n: 1, tokenIdentifier: "https://i|s" },
    });
  });
});

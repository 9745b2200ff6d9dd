import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { gcmsiv } from "@noble/ciphers/aes.js";
import { describe, expect, it } from "vitest";
import { adminKeySecrets, isKeyOf, issueAdminKey, parseAdminKey } from "../../../src/credentials/admin-key.ts";
import { ActionError } from "../../../src/runner/errors.ts";

interface Vector {
  label: string;
  format: "current" | "legacy";
  instanceName: string;
  secret: string;
  nonce: string;
  fields: { issued: number; memberId?: number; readOnly?: boolean; system?: boolean };
  adminKey: string;
}

const vectors = (
  JSON.parse(readFileSync(new URL("../../fixtures/admin_key_vectors.json", import.meta.url), "utf8")) as {
    computed: Vector[];
  }
).computed;

const SECRET = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/** Opens a key of the current format by the contract alone, without the code under test. */
function open(key: string, secret: string): string {
  const sealed = Buffer.from(key.slice(key.indexOf("|") + 1), "hex");
  const derived = createHmac("sha256", Buffer.from(secret, "hex")).update("\0\0\0\u0001admin key", "latin1").digest();
  const cipher = gcmsiv(
    new Uint8Array(derived.subarray(0, 16)),
    new Uint8Array(sealed.subarray(1, 13)),
    Uint8Array.of(1),
  );
  return Buffer.from(cipher.decrypt(new Uint8Array(sealed.subarray(13)))).toString("hex");
}

describe("issued keys (contract 2.4)", () => {
  it.each(vectors.map((vector) => [vector.label, vector] as const))("equal the vector %s", (_label, vector) => {
    const key = issueAdminKey({
      instanceName: vector.instanceName,
      instanceSecret: vector.secret,
      format: vector.format,
      issuedSeconds: vector.fields.issued,
      nonce: new Uint8Array(Buffer.from(vector.nonce, "hex")),
      kind: vector.fields.system === true ? "system" : vector.fields.readOnly === true ? "read-only" : "admin",
      ...(vector.fields.memberId === undefined ? {} : { memberId: vector.fields.memberId }),
    });
    expect(key).toBe(vector.adminKey);
  });

  it("open like the keys that the real tool issued", () => {
    const real = "convex-self-hosted|01c3dac21d69c80d024ec1f0a1cbead10f95239f3ecc003700c4251dd453aa4ff96a705a65";
    expect(open(real, SECRET)).toBe("10a6848fd8061800");
    const own = issueAdminKey({ instanceName: "x", instanceSecret: SECRET, issuedSeconds: 1795408422 });
    expect(open(own, SECRET)).toBe("10a6848fd8061800");
  });

  it("differ each time and carry today's date", () => {
    const one = issueAdminKey({ instanceName: "x", instanceSecret: SECRET });
    const two = issueAdminKey({ instanceName: "x", instanceSecret: SECRET });
    expect(one).not.toBe(two);
    expect(open(one, SECRET)).toMatch(/^10[0-9a-f]{10}1800$/);
  });
});

describe("given keys", () => {
  const key = vectors[0]?.adminKey ?? "";

  it("come apart, prefixes aside", () => {
    const encrypted = key.slice(key.indexOf("|") + 1);
    expect(parseAdminKey(key)).toEqual({ text: key, instanceName: "convex-self-hosted", encrypted });
    expect(parseAdminKey(`prod:${key}`).instanceName).toBe("convex-self-hosted");
    expect(adminKeySecrets(key)).toEqual([key, encrypted]);
  });

  it.each(vectors.map((vector) => [vector.label, vector] as const))("are known by their instance: %s", (_, vector) => {
    const instance = { instanceName: vector.instanceName, instanceSecret: vector.secret };
    const flipped = `${vector.secret[0] === "0" ? "1" : "0"}${vector.secret.slice(1)}`;
    expect(isKeyOf(instance, vector.adminKey)).toBe(true);
    expect(isKeyOf({ ...instance, instanceName: "other" }, vector.adminKey)).toBe(false);
    expect(isKeyOf({ ...instance, instanceSecret: flipped }, vector.adminKey)).toBe(false);
    expect(isKeyOf(instance, vector.adminKey.replace("|01", "|02"))).toBe(false);
    expect(isKeyOf(instance, vector.adminKey.slice(0, -2))).toBe(false);
  });

  it.each([
    ["nothing", ""],
    ["blanks", "   "],
    ["a line break inside", `${key.slice(0, 40)}\n${key.slice(40)}`],
    ["a line break at the end", `${key}\n`],
    ["CRLF at the end", `${key}\r\n`],
    ["a blank in front", ` ${key}`],
    ["quotes", `"${key}"`],
    ["no name", key.slice(key.indexOf("|"))],
    ["no bar", key.slice(key.indexOf("|") + 1)],
    ["no hex", "convex-self-hosted|not-a-key"],
    ["half of it", key.slice(0, 50)],
    ["another letter", `${key}é`],
  ])("are refused without being shown: %s", (_label, text) => {
    let thrown: unknown;
    try {
      parseAdminKey(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ActionError);
    const shown = (thrown as ActionError).text;
    expect(shown).toMatch(/^\[admin-key-malformed\] /);
    expect(shown).not.toContain(key.slice(-20));
    expect(shown).not.toContain(key.slice(20, 40));
  });
});

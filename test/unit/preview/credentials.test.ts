import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { checkPreviewSecret, deriveInstanceSecret } from "../../../src/preview/credentials.ts";

const secret = "0123456789abcdef0123456789abcdef";
const identity = { repository: "acme/app", name: "pr-1" };

/** RFC 5869 by hand: extract with a salt of zeros, one block of expand. */
function hkdf(key: string, info: string): string {
  const prk = createHmac("sha256", Buffer.alloc(32)).update(key).digest();
  return createHmac("sha256", prk)
    .update(info)
    .update(Buffer.from([1]))
    .digest("hex");
}

describe("deriveInstanceSecret", () => {
  it("is HKDF-SHA-256 with the documented info", () => {
    const info = "convex-selfhost preview instance-secret v1\0acme/app\0pr-1";
    expect(deriveInstanceSecret(secret, identity)).toBe(hkdf(secret, info));
    expect(deriveInstanceSecret(secret, identity)).toMatch(/^[0-9a-f]{64}$/);
  });

  it("is the same in every job, whatever the repository's case and the line end behind the secret", () => {
    expect(deriveInstanceSecret(`${secret}\n`, { ...identity, repository: "Acme/App" })).toBe(
      deriveInstanceSecret(secret, identity),
    );
  });

  it("differs by secret, repository and name, also where their texts run together", () => {
    const all = [
      deriveInstanceSecret(secret, identity),
      deriveInstanceSecret(`${secret}x`, identity),
      deriveInstanceSecret(secret, { ...identity, name: "pr-2" }),
      deriveInstanceSecret(secret, { ...identity, repository: "acme/other" }),
      deriveInstanceSecret(secret, { repository: "acme/ap", name: "ppr-1" }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});

describe("checkPreviewSecret", () => {
  it.each(["a".repeat(31), "ab".repeat(40), "        "])("refuses %j without repeating it", (weak) => {
    expect(() => checkPreviewSecret(weak)).toThrow(expect.objectContaining({ code: "preview-secret-weak" }));
    try {
      checkPreviewSecret(weak);
    } catch (error) {
      if (weak.trim() !== "") expect(String(error)).not.toContain(weak);
    }
  });

  it("takes what openssl rand makes", () => {
    expect(() => checkPreviewSecret(secret)).not.toThrow();
  });
});

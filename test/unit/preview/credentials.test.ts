import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  checkPreviewSecret,
  deriveInstanceSecret,
  type PreviewSecret,
  secretOf,
} from "../../../src/preview/credentials.ts";

const secret = "0123456789abcdef0123456789abcdef";
const given: PreviewSecret = { from: "preview-secret", text: secret };
const identity = { repository: "acme/app", name: "pr-1" };

const HOST = "ssh://deploy@preview.example.com";
const KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VudGluZWwtb2YtdGhlLWtleQ==\n-----END OPENSSH PRIVATE KEY-----\n";

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
    expect(deriveInstanceSecret(given, identity)).toBe(hkdf(secret, info));
    expect(deriveInstanceSecret(given, identity)).toMatch(/^[0-9a-f]{64}$/);
  });

  it("is the same in every job, whatever the repository's case and the line ends of the secret", () => {
    const read = (inputs: Partial<Parameters<typeof secretOf>[0]>): PreviewSecret | undefined =>
      secretOf({ previewSecret: undefined, host: HOST, sshKey: undefined, ...inputs });
    expect(read({ previewSecret: `${secret}\n` })).toEqual(given);
    expect(deriveInstanceSecret(given, { ...identity, repository: "Acme/App" })).toBe(
      deriveInstanceSecret(given, identity),
    );
    expect(read({ sshKey: `\r\n${KEY.replaceAll("\n", "\r\n")}` })).toEqual({ from: "ssh-key", text: KEY });
  });

  it("differs by secret, repository and name, also where their texts run together", () => {
    const all = [
      deriveInstanceSecret(given, identity),
      deriveInstanceSecret({ ...given, from: "ssh-key" }, identity),
      deriveInstanceSecret({ ...given, text: `${secret}x` }, identity),
      deriveInstanceSecret(given, { ...identity, name: "pr-2" }),
      deriveInstanceSecret(given, { ...identity, repository: "acme/other" }),
      deriveInstanceSecret(given, { repository: "acme/ap", name: "ppr-1" }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});

describe("secretOf", () => {
  it("takes preview-secret where it is given, and the key only where it opens the host", () => {
    expect(secretOf({ previewSecret: secret, host: HOST, sshKey: KEY })).toEqual(given);
    expect(secretOf({ previewSecret: undefined, host: HOST, sshKey: KEY })).toEqual({ from: "ssh-key", text: KEY });
    for (const host of [undefined, "builder", "unix:///var/run/docker.sock", "tcp://preview.example.com:2376"])
      expect(secretOf({ previewSecret: undefined, host, sshKey: KEY })).toBeUndefined();
    expect(secretOf({ previewSecret: undefined, host: HOST, sshKey: undefined })).toBeUndefined();
  });

  it("makes no secret of what is no private key", () => {
    const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI preview";
    expect(() => secretOf({ previewSecret: undefined, host: HOST, sshKey })).toThrow(
      expect.objectContaining({ code: "ssh-key-invalid" }),
    );
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

import { describe, expect, it } from "vitest";
import { checkKnownHosts, serverOf } from "../../../../src/preview/ssh/known-hosts.ts";

describe("checkKnownHosts", () => {
  it("takes hashed names, ports, authorities and comments", () => {
    const lines = [
      "# from ssh-keyscan",
      "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAAB3Nza",
      "[host]:2222,10.0.0.1 ecdsa-sha2-nistp256 AAAAE2V= comment",
      "@cert-authority *.example.com ssh-ed25519 AAAAC3Nza",
    ];
    expect(checkKnownHosts(lines.join("\r\n")).trim().split("\n")).toEqual(lines.slice(1));
  });

  it("refuses what ssh would silently pass over", () => {
    expect(() => checkKnownHosts("ssh-ed25519 AAAAC3Nza")).toThrow(
      expect.objectContaining({ code: "known-hosts-invalid" }),
    );
    expect(() => checkKnownHosts("SHA256:abc")).toThrow(expect.objectContaining({ code: "known-hosts-invalid" }));
  });
});

describe("serverOf", () => {
  const key = "ssh-ed25519 AAAAC3Nza";

  it.each([
    [
      "what ssh-keyscan prints",
      `# preview.example.com:22 SSH-2.0-OpenSSH_9.2\r\nPreview.example.com ${key}\r\n# again\npreview.example.com ssh-rsa AAAAB3Nza\n`,
      "ssh://deploy@preview.example.com",
    ],
    ["another port", `[preview.example.com]:2222 ${key}`, "ssh://deploy@preview.example.com:2222"],
    ["a name and its address", `192.0.2.7,preview.example.com ${key}`, "ssh://deploy@preview.example.com"],
    ["an address", `192.0.2.7 ${key}`, "ssh://deploy@192.0.2.7"],
    ["an address of IPv6", `2001:db8::7 ${key}`, "ssh://deploy@[2001:db8::7]"],
    ["the same at another port", `[2001:db8::7]:2222 ${key}`, "ssh://deploy@[2001:db8::7]:2222"],
  ])("reads %s", (_, text, server) => {
    expect(serverOf(text)).toBe(server);
  });

  it.each([
    ["nothing", "\n# nothing\n"],
    ["two servers", `one.example.com ${key}\ntwo.example.com ${key}`],
    ["two ports of one", `one.example.com ${key}\n[one.example.com]:2222 ${key}`],
    ["a hashed name", `|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ${key}`],
    ["a pattern", `*.example.com ${key}`],
    ["all but one", `preview.example.com,!other.example.com ${key}`],
    ["an authority", `@cert-authority preview.example.com ${key}`],
    ["a name and a revoked key", `preview.example.com ${key}\n@revoked preview.example.com ${key}`],
  ])("does not guess from %s", (_, text) => {
    expect(serverOf(text)).toBeUndefined();
  });

  it.each([
    ["a public key without its server", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"],
    ["a fingerprint", "SHA256:abc"],
    ["a name alone", "preview.example.com"],
  ])("takes the first word of %s for no name", (_, text) => {
    expect(() => serverOf(text)).toThrow(expect.objectContaining({ code: "known-hosts-invalid" }));
  });
});

import { statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkKey, checkKnownHosts, makeFolder, removeFiles, writeFiles } from "../../../../src/preview/ssh/files.ts";
import { scratch, testDeps } from "../../backend/docker/support.ts";

const frame = (kind: string): string =>
  `-----BEGIN ${kind}PRIVATE KEY-----\nc2VudGluZWwtb2YtdGhlLWtleQ==\n-----END ${kind}PRIVATE KEY-----`;

describe("the files of an SSH connection", () => {
  it("lie in a folder that nobody else can open, and are gone with it", async () => {
    const files = await makeFolder(testDeps({ RUNNER_TEMP: scratch() }));
    await writeFiles(files, frame("OPENSSH "), "host ssh-ed25519 AAAA");
    expect(statSync(files.folder).mode & 0o777).toBe(0o700);
    for (const file of [files.key, files.knownHosts]) expect(statSync(file).mode & 0o777).toBe(0o600);
    await removeFiles(files.folder);
    expect(() => statSync(files.folder)).toThrow();
  });

  it("have paths that fit a socket, however long the runner's are", async () => {
    const files = await makeFolder(testDeps({ RUNNER_TEMP: `/${"x".repeat(90)}` }));
    await removeFiles(files.folder);
    expect(Buffer.byteLength(files.control) + 17).toBeLessThanOrEqual(107);
  });
});

describe("checkKey", () => {
  it("gives ssh the key as it reads it", () => {
    expect(checkKey(`\r\n${frame("OPENSSH ").replaceAll("\n", "\r\n")}`)).toBe(`${frame("OPENSSH ")}\n`);
    expect(checkKey(frame("RSA "))).toBe(`${frame("RSA ")}\n`);
  });

  it.each([
    ["a public one", "ssh-ed25519 AAAAC3 sentinel", /public/],
    ["a path", "/home/sentinel/.ssh/id", /first line/],
    ["one without an end", "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VudGluZWw", /cut off/],
    ["one with a passphrase", frame("ENCRYPTED "), /passphrase/],
  ])("refuses %s without repeating it", (_, key, why) => {
    expect(() => checkKey(key)).toThrow(why);
    expect(() => checkKey(key)).not.toThrow(/sentinel|c2VudGluZWw/);
  });
});

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

import { statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkKey, makeFolder, removeFiles, writeFiles } from "../../../../src/preview/ssh/files.ts";
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

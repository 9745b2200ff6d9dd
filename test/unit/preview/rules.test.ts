import { describe, expect, it } from "vitest";
import { readPreviewInputs } from "../../../src/preview/inputs.ts";
import { checkNeeds, checkPreviewInputs } from "../../../src/preview/rules.ts";

const GOOD: Readonly<Record<string, string>> = {
  host: "ssh://deploy@preview.example.com",
  "ssh-key": "a key that is judged later",
  "known-hosts": "host ssh-ed25519 AAAA",
  domain: "{name}.preview.example.com",
  "preview-secret": "0123456789abcdef0123456789abcdef",
};

/** As if the event let the command be carried out, or be skipped. */
function check(given: Readonly<Record<string, string>>, skip = false): void {
  const all = { ...GOOD, ...given };
  const inputs = readPreviewInputs((name) => all[name] ?? "");
  checkPreviewInputs(inputs);
  checkNeeds(inputs, skip || inputs.command === "bundle" ? "skip" : inputs.command);
}

describe("checkPreviewInputs", () => {
  it("takes what the documentation shows", () => {
    expect(() => check({})).not.toThrow();
    expect(() => check({ command: "sweep", domain: "", "preview-secret": "" })).not.toThrow();
    expect(() =>
      check({ host: "", "ssh-key": "", "known-hosts": "", proxy: "none", domain: "", bind: "10.0.0.1" }),
    ).not.toThrow();
    expect(() => check({ command: "bundle", host: "", domain: "", "preview-secret": "" })).not.toThrow();
  });

  it("makes names below those of an ssh:// host, where none are given and a proxy leads to them", () => {
    const domainOf = (given: Readonly<Record<string, string>>): string | undefined =>
      readPreviewInputs((name) => given[name] ?? "").domain;
    expect(domainOf({ host: "ssh://deploy@Preview.Example.com:2222/run/docker.sock" })).toBe(
      "{name}.preview.example.com",
    );
    expect(domainOf({ host: GOOD["host"] ?? "", domain: "{name}.example.org" })).toBe("{name}.example.org");
    expect(domainOf({ host: GOOD["host"] ?? "", proxy: "none" })).toBeUndefined();
    for (const host of ["", "tcp://preview.example.com:2376", "ssh://deploy@192.0.2.7", "ssh://"])
      expect(domainOf({ host })).toBeUndefined();
    expect(() => check({ domain: "" })).not.toThrow();
    expect(() => check({ domain: "", proxy: "none" })).not.toThrow();
  });

  it.each<[string, Record<string, string>]>([
    ["input-missing", { "ssh-key": "" }],
    ["input-missing", { "known-hosts": " \n" }],
    ["input-missing", { domain: "", host: "ssh://deploy@192.0.2.7" }],
    ["input-missing", { domain: "", host: "ssh://deploy@[2001:db8::7]" }],
    ["input-missing", { domain: "", host: "ssh://deploy@builder" }],
    ["input-missing", { "preview-secret": "", host: "", "ssh-key": "", "known-hosts": "" }],
    ["ssh-key-invalid", { "preview-secret": "" }],
    [
      "input-missing",
      { host: "", "known-hosts": "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAA" },
    ],
    ["input-missing", { host: "", "known-hosts": "" }],
    ["input-missing", { host: "", "ssh-key": "" }],
    ["preview-secret-weak", { "preview-secret": "too short to be one" }],
    ["input-conflict", { proxy: "none" }],
    ["input-conflict", { bind: "0.0.0.0" }],
    ["input-conflict", { proxy: "caddy", "cert-resolver": "le" }],
    ["input-invalid", { proxy: "none", domain: "", bind: "localhost" }],
    ["input-invalid", { memory: "64m" }],
    ["input-invalid", { memory: "much" }],
    ["input-invalid", { cpus: "-1" }],
    ["input-invalid", { ttl: "14" }],
    ["input-invalid", { "env-keep": "A-B" }],
    ["input-invalid", { command: "destroy" }],
    ["dashboard-image-missing", { dashboard: "true" }],
    ["input-conflict", { "fork-env": "A=1" }],
    ["input-conflict", { "jwt-private-key": "a key without auth" }],
  ])("answers with %s to %j", (code, given) => {
    expect(() => check(given)).toThrow(expect.objectContaining({ code }));
  });

  it("needs no more than a key and the known hosts of the server", () => {
    const two: Record<string, string> = {
      "ssh-key": "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VudGluZWw=\n-----END OPENSSH PRIVATE KEY-----",
      "known-hosts": "preview.example.com ssh-ed25519 AAAA",
    };
    const inputs = readPreviewInputs((name) => two[name] ?? "");
    expect(inputs).toMatchObject({ host: "ssh://deploy@preview.example.com", domain: "{name}.preview.example.com" });
    expect(() => checkNeeds(inputs, "up")).not.toThrow();
  });

  it("misses nothing where nothing is to be done, and no more than a removal needs", () => {
    const bare = { "ssh-key": "", "known-hosts": "", domain: "", "preview-secret": "" };
    expect(() => check(bare, true)).not.toThrow();
    expect(() => check({ command: "down", domain: "", "preview-secret": "" })).not.toThrow();
    expect(() => check({ ...bare, command: "down" })).toThrow(expect.objectContaining({ code: "input-missing" }));
    // What contradicts itself does so in every run.
    expect(() => check({ ...bare, bind: "0.0.0.0" }, true)).toThrow(
      expect.objectContaining({ code: "input-conflict" }),
    );
  });

  it("reads amounts and times", () => {
    const inputs = readPreviewInputs((name) => ({ memory: "1.5g", cpus: "0.5", ttl: "36h" })[name] ?? "");
    expect(inputs).toMatchObject({ memory: 1.5 * 1024 ** 3, cpus: 0.5, ttlMs: 36 * 3_600_000 });
    const none = readPreviewInputs((name) => ({ memory: "none", cpus: "none", ttl: "none" })[name] ?? "");
    expect(none).toMatchObject({ memory: undefined, cpus: undefined, ttlMs: undefined });
  });
});

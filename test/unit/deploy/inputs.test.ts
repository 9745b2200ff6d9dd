import { describe, expect, it } from "vitest";
import { checkDeployInputs, readDeployInputs } from "../../../src/deploy/inputs.ts";

const GOOD: Readonly<Record<string, string>> = { url: "https://api.example.com", "admin-key": "production|0123456789" };

function check(given: Readonly<Record<string, string>>): void {
  const all = { ...GOOD, ...given };
  checkDeployInputs(readDeployInputs((name) => all[name] ?? "", {}));
}

describe("checkDeployInputs", () => {
  it.each([
    {},
    { "backup-url": "https://api.example.com" },
    { url: " https://API.example.com:443/ ", "backup-url": "https://api.example.com" },
    { "env-prune": "true", env: "A=1", "env-keep": "STRIPE_*" },
  ])("takes %j", (given) => {
    expect(() => check(given)).not.toThrow();
  });

  it.each<[Record<string, string>, RegExp]>([
    [
      { "backup-url": "https://staging.example.com" },
      /^The backup is of https:\/\/staging\.example\.com, and the deploy/,
    ],
    [{ "backup-url": "https://api.example.com:8443" }, /^The backup is of/],
    [{ "env-keep": "STRIPE_*" }, /^env-keep is set/],
    [{ "env-prune": "true" }, /^env-prune is true/],
  ])("refuses %j", (given, message) => {
    expect(() => check(given)).toThrow(
      expect.objectContaining({ code: "input-conflict", message: expect.stringMatching(message) }),
    );
  });
});

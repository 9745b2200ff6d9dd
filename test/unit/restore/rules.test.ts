import { describe, expect, it } from "vitest";
import { readRestoreInputs } from "../../../src/restore/inputs.ts";
import { checkRestoreInputs, checkStores } from "../../../src/restore/rules.ts";

const REQUIRED = {
  source: "dir:backups",
  url: "https://convex.example.com",
  "admin-key": "production|0123456789abcdef",
};
const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

function judge(inputs: Record<string, string>): void {
  const all: Record<string, string> = { ...REQUIRED, ...inputs };
  const read = readRestoreInputs((name) => all[name] ?? "", {}, "/repository");
  checkRestoreInputs(read);
  checkStores(read);
}

describe("the inputs of a restore", () => {
  it.each<[string, Record<string, string>]>([
    ["the least", {}],
    ["a safety backup to the identity's own key", { identity: "AGE-SECRET-KEY-1X", "safety-backup": "dir:before" }],
    ["a safety backup to another key", { recipients: RECIPIENT, "safety-backup": "s3://bucket/before" }],
    ["no safety backup", { "safety-backup": "off", confirm: "production" }],
    [
      "a bucket for the safety backup alone",
      { recipients: RECIPIENT, "safety-backup": "s3://b-ucket/x", "s3-region": "auto" },
    ],
    ["limits in hours and days", { "max-rto": "2h", "max-rpo": "3d" }],
  ])("may be %s", (_, inputs) => {
    expect(() => judge(inputs)).not.toThrow();
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ["variables without the key that opens them", { "restore-env": "true" }, /identity is not set/],
    ["recipients of nothing", { recipients: RECIPIENT }, /nothing would be encrypted/],
    ["recipients and off", { recipients: RECIPIENT, "safety-backup": "off" }, /nothing would be encrypted/],
    ["a safety backup to nobody", { "safety-backup": "dir:before" }, /to whom it is encrypted/],
    ["an id with a slash", { "backup-id": "a/b" }, /backup-id/],
    ["an id that goes up", { "backup-id": ".." }, /backup-id/],
    ["s3 inputs for folders", { "s3-endpoint": "https://s3.example.com" }, /is no bucket/],
    ["a safety backup that is none", { "safety-backup": "nowhere" }, /safety-backup/],
    ["no source", { source: "" }, /source is not set/],
    ["no url", { url: "" }, /CONVEX_SELF_HOSTED_URL/],
  ])("may not be %s", (_, inputs, text) => {
    expect(() => judge(inputs)).toThrow(text);
  });

  it("come from the CLI's variables where a drill gives neither URL nor key", () => {
    const env = { CONVEX_SELF_HOSTED_URL: "http://127.0.0.1:3210", CONVEX_SELF_HOSTED_ADMIN_KEY: "x|0123456789" };
    const read = readRestoreInputs((name) => (name === "source" ? "dir:backups" : ""), env, "/repository");
    expect(read).toMatchObject({ url: "http://127.0.0.1:3210", adminKey: "x|0123456789", backupId: "latest" });
    expect(read.source).toEqual({ kind: "directory", path: "/repository/backups" });
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readBackupInputs } from "../../../src/backup/inputs.ts";
import { checkBackupInputs } from "../../../src/backup/rules.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { type Visibility, visibilityOf } from "../../../src/runner/repository.ts";

const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const GOOD = {
  url: "http://127.0.0.1:3210",
  "admin-key": "standin|0123456789",
  destination: "dir:b",
  recipients: RECIPIENT,
};

function judge(
  inputs: Readonly<Record<string, string>>,
  visibility: Visibility = "private",
): readonly string[] | string {
  try {
    const all: Record<string, string> = { ...GOOD, ...inputs };
    return checkBackupInputs(
      readBackupInputs((name) => all[name] ?? "", { GITHUB_WORKSPACE: "/w" }),
      visibility,
    );
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    return (error as ActionError).text;
  }
}

describe("inputs of a backup", () => {
  it("that are good warn of nothing", () => {
    expect(judge({})).toEqual([]);
    expect(judge({ destination: "s3://bucket/prefix", "object-lock-days": "7", "include-env": "true" })).toEqual([]);
    expect(judge({ destination: "artifact" }, "public")).toEqual([]);
  });

  it.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ["nobody who can decrypt", { recipients: "" }, /input-missing\] recipients is not set.*age-keygen/],
    [
      "recipients that are not used",
      { encryption: "none" },
      /input-conflict\] recipients is set, but encryption is none/,
    ],
    [
      "values in the clear",
      { encryption: "none", recipients: "", "include-env": "true" },
      /input-conflict\] include-env/,
    ],
    ["an SSH key", { recipients: "ssh-ed25519 AAAA me@example.com" }, /recipient-invalid.*SSH/],
    ["no destination", { destination: "" }, /input-missing\] destination is not set/],
    ["a destination of no kind", { destination: "/backups" }, /input-invalid\] destination/],
    ["a lock where none is", { "object-lock-days": "7" }, /input-conflict\] object-lock-days/],
    ["an endpoint without a bucket", { "s3-endpoint": "https://s3.example.com" }, /input-conflict\] s3-endpoint/],
    [
      "no URL",
      { url: "" },
      /input-missing\] url is not set, nor is connection, and neither is the variable CONVEX_SELF_HOSTED_URL/,
    ],
    ["no key", { "admin-key": "" }, /input-missing\] admin-key is not set/],
    ["a release that is none", { "backend-version": "latest" }, /input-invalid\] backend-version: "latest"/],
    ["a commit that is none", { commit: "main" }, /input-invalid\] commit: "main"/],
    ["a time that is none", { "export-timeout": "soon" }, /input-invalid\] export-timeout/],
    ["a count that is none", { "keep-daily": "all" }, /input-invalid\] keep-daily/],
    [
      "a word that is none",
      { prune: "yes" },
      /input-invalid\] prune: "yes" is not accepted. → Allowed: apply, dry-run, off/,
    ],
  ])("are refused with %s", (_, inputs, text) => {
    expect(judge(inputs)).toMatch(text);
  });

  it("that would publish the database are refused", () => {
    const plain = { encryption: "none", recipients: "", destination: "artifact" };
    expect(judge(plain, "public")).toMatch(/input-conflict.*this repository is public/);
    expect(judge(plain, "unknown")).toMatch(/input-conflict.*does not tell whether this repository is public/);
    for (const visibility of ["private", "internal"] as const) {
      expect(judge(plain, visibility)).toEqual([expect.stringContaining("everybody who can read this repository")]);
    }
    expect(judge({ ...plain, destination: "dir:b" }, "public")).toEqual([
      expect.stringContaining("everybody who can read the destination"),
    ]);
  });

  it("take the release's name however it is written", () => {
    const version = (text: string): string | undefined => {
      const all: Record<string, string> = { ...GOOD, "backend-version": text };
      return readBackupInputs((name) => all[name] ?? "", {}).backendVersion;
    };
    expect(version("precompiled-2026-09-28-5c7cb5b")).toBe("2026-09-28-5c7cb5b");
    expect(version(`sha256:${"a".repeat(64)}`)).toBe(`sha256:${"a".repeat(64)}`);
    expect(version("")).toBeUndefined();
  });
});

describe("who sees the repository", () => {
  it.each<[string, unknown, Visibility]>([
    ["its visibility", { repository: { visibility: "internal", private: true } }, "internal"],
    ["an older event", { repository: { private: true } }, "private"],
    ["an older event of a public one", { repository: { private: false } }, "public"],
    ["a word that is not known", { repository: { visibility: "secret" } }, "unknown"],
    ["an event without it", {}, "unknown"],
  ])("is told by %s", async (_, event, visibility) => {
    const directory = await mkdtemp(join(tmpdir(), "event-"));
    await writeFile(join(directory, "event.json"), JSON.stringify(event));
    expect(visibilityOf({ GITHUB_EVENT_PATH: join(directory, "event.json") })).toBe(visibility);
    await rm(directory, { recursive: true });
  });

  it("is unknown without an event", () => {
    expect(visibilityOf({})).toBe("unknown");
    expect(visibilityOf({ GITHUB_EVENT_PATH: "/nowhere" })).toBe("unknown");
  });
});

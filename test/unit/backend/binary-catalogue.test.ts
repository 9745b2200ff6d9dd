import { describe, expect, it } from "vitest";
import { resolveBinary } from "../../../src/backend/binary-catalogue.ts";
import type { Release } from "../../../src/backend/pins.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const linux = { platform: "linux", arch: "x64" } as const;

describe("resolveBinary", () => {
  it.each([
    ["linux", "x64", "2026-10-06-a3538c6", "x86_64-unknown-linux-gnu", "eba2eeab"],
    ["linux", "arm64", "2026-10-06-a3538c6", "aarch64-unknown-linux-gnu", "d3bf1d87"],
    ["darwin", "arm64", "2026-10-06-a3538c6", "aarch64-apple-darwin", "f89a9dc8"],
    ["darwin", "x64", "2026-10-06-a3538c6", "x86_64-apple-darwin", "a9465ddf"],
    // The newest release lacks the checksum for Windows.
    ["win32", "x64", "2026-09-11-157eb19", "x86_64-pc-windows-msvc", "c4c51220"],
  ] as const)("takes the newest checked release on %s %s", (platform, arch, release, target, sum) => {
    const choice = resolveBinary({ platform, arch });
    expect(choice).toMatchObject({
      release,
      target,
      byDefault: true,
      warnings: [],
      asset: `convex-local-backend-${target}.zip`,
    });
    expect(choice.sha256).toMatch(new RegExp(`^${sum}[0-9a-f]{56}$`));
    expect(choice.executable).toBe(platform === "win32" ? "convex-local-backend.exe" : "convex-local-backend");
  });

  it("asks the release's metadata where the catalogue has no checksum", () => {
    const choice = resolveBinary({ ...linux, version: "2026-09-28-5c7cb5b" });
    expect(choice.release).toBe("2026-09-28-5c7cb5b");
    expect(choice.sha256).toBeUndefined();
    expect(choice.warnings).toHaveLength(1);
    expect(resolveBinary({ ...linux, version: "precompiled-2025-05-01-1234567" })).toMatchObject({
      release: "2025-05-01-1234567",
      byDefault: false,
    });
  });

  it("maps commits that the catalogue knows", () => {
    expect(resolveBinary({ ...linux, version: "5c7cb5bc7db457290f1769f95f1d1340912f7fd7" }).release).toBe(
      "2026-09-28-5c7cb5b",
    );
    // Only the name of this one is known.
    expect(resolveBinary({ ...linux, version: `a3538c6${"0".repeat(33)}` }).release).toBe("2026-10-06-a3538c6");
  });

  it("finds the asset under the build's other date", () => {
    const list: Release[] = [
      { name: "2026-03-02-abcdef0", binaries: { "x86_64-unknown-linux-gnu": "1".repeat(64) } },
      { name: "2026-03-01-abcdef0", binaries: { "aarch64-apple-darwin": "2".repeat(64) } },
    ];
    expect(resolveBinary({ ...linux, version: "2026-03-01-abcdef0" }, list)).toMatchObject({
      release: "2026-03-02-abcdef0",
      sha256: "1".repeat(64),
    });
  });

  it.each([
    [{ ...linux, version: "latest" }, "version-latest"],
    [{ ...linux, version: `sha256:${"a".repeat(64)}` }, "version-invalid"],
    [{ ...linux, version: "f".repeat(40) }, "release-unknown"],
    // The catalogue's commit of that name is another.
    [{ ...linux, version: `5c7cb5b${"0".repeat(33)}` }, "release-unknown"],
    [{ platform: "win32", arch: "arm64" }, "platform-unsupported"],
    [{ platform: "freebsd", arch: "x64" }, "platform-unsupported"],
  ] as const)("refuses %j", (wish, code) => {
    const thrown = (() => {
      try {
        return resolveBinary(wish);
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toBeInstanceOf(ActionError);
    expect(thrown).toMatchObject({ code });
  });
});

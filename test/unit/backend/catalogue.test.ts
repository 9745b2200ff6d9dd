import { describe, expect, it } from "vitest";
import { DEFAULT_REPOSITORY, resolveImage } from "../../../src/backend/catalogue.ts";
import { readPins, releases } from "../../../src/backend/pins.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const DIGEST = "sha256:d715e9ec088784407ca4ba2d3db592702cd328d02c76cdca3852c0018f2a76b4";
const COMMIT = "5c7cb5bc7db457290f1769f95f1d1340912f7fd7";
const OTHER = `sha256:${"0".repeat(63)}1`;
const UNKNOWN = "0123456789012345678901234567890123456789";

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof ActionError) return error.code;
    throw error;
  }
  return "no error";
}

describe("resolveImage", () => {
  it("takes the release that this action version is tested with, by digest", () => {
    expect(resolveImage({})).toEqual({
      reference: `${DEFAULT_REPOSITORY}@${DIGEST}`,
      repository: DEFAULT_REPOSITORY,
      digest: DIGEST,
      release: "2026-09-28-5c7cb5b",
      commit: COMMIT,
      byDefault: true,
      warnings: [],
    });
  });

  it.each(["2026-09-28-5c7cb5b", "precompiled-2026-09-28-5c7cb5b", COMMIT, DIGEST])(
    "knows %s as the same build",
    (version) => {
      expect(resolveImage({ version })).toMatchObject({
        reference: `${DEFAULT_REPOSITORY}@${DIGEST}`,
        digest: DIGEST,
        release: "2026-09-28-5c7cb5b",
        commit: COMMIT,
        byDefault: false,
        warnings: [],
      });
    },
  );

  it("goes by the digits of a name whose date is that of the other half of the build", () => {
    const choice = resolveImage({ version: "2026-09-29-5c7cb5b" });
    expect(choice.digest).toBe(DIGEST);
    expect(choice.warnings.join()).toContain("2026-09-28-5c7cb5b");
  });

  it.each([
    ["latest", "version-latest"],
    ["LATEST", "version-latest"],
    ["sha256:abc", "digest-malformed"],
    [`sha256:${"A".repeat(64)}`, "digest-malformed"],
    [`sha512:${"a".repeat(64)}`, "digest-malformed"],
    ["5c7cb5b", "version-invalid"],
    ["1.48.0", "version-invalid"],
    ["2026-13-45-5c7cb5b", "version-invalid"],
    ["", "version-invalid"],
    ["main", "version-invalid"],
    [COMMIT.toUpperCase(), "version-invalid"],
    ["2026-10-06-a3538c6", "release-unknown"],
    ["2026-01-01-0123abc", "release-unknown"],
  ])("refuses version %j with %s", (version, code) => {
    expect(codeOf(() => resolveImage({ version }))).toBe(code);
  });

  it.each([
    [`${DEFAULT_REPOSITORY}:latest`, "version-latest"],
    [`${DEFAULT_REPOSITORY}@sha256:12`, "digest-malformed"],
    ["Not An Image", "image-invalid"],
    ["https://user:hunter2pass@registry.example/x y", "image-invalid"],
  ])("refuses image %j with %s", (image, code) => {
    expect(codeOf(() => resolveImage({ image }))).toBe(code);
  });

  it("asks a name without known commit for the commit", () => {
    expect(() => resolveImage({ version: "2026-10-06-a3538c6" })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("begins with a3538c6") }),
    );
  });

  it("pulls a mirror by the catalogue's digest", () => {
    expect(resolveImage({ image: "localhost:5000/convex-backend" }).reference).toBe(
      `localhost:5000/convex-backend@${DIGEST}`,
    );
  });

  it("counts a digest in the image as the pin", () => {
    const choice = resolveImage({ image: `mirror.example/convex@${OTHER}`, requireDigest: true });
    expect(choice).toMatchObject({
      reference: `mirror.example/convex@${OTHER}`,
      digest: OTHER,
      byDefault: false,
      warnings: [],
    });
    expect(choice.release).toBeUndefined();
    expect(resolveImage({ image: `mirror.example/convex@${DIGEST}` }).release).toBe("2026-09-28-5c7cb5b");
  });

  it("refuses an image and a version that name different builds", () => {
    const image = `${DEFAULT_REPOSITORY}@${OTHER}`;
    expect(codeOf(() => resolveImage({ image, version: DIGEST }))).toBe("digest-conflict");
    expect(codeOf(() => resolveImage({ image, version: "2026-09-28-5c7cb5b" }))).toBe("digest-conflict");
    expect(codeOf(() => resolveImage({ image: `${DEFAULT_REPOSITORY}:${UNKNOWN}`, version: "a".repeat(40) }))).toBe(
      "digest-conflict",
    );
  });

  it("takes a release that only the image's digest pins", () => {
    const image = `${DEFAULT_REPOSITORY}@${OTHER}`;
    expect(resolveImage({ image, version: "2026-10-06-a3538c6" })).toMatchObject({ digest: OTHER, commit: "a3538c6" });
  });

  it("runs a commit outside the catalogue with a warning, and refuses it when a digest is required", () => {
    const choice = resolveImage({ version: UNKNOWN });
    expect(choice.reference).toBe(`${DEFAULT_REPOSITORY}:${UNKNOWN}`);
    expect(choice.digest).toBeUndefined();
    expect(choice.warnings).toHaveLength(1);
    expect(codeOf(() => resolveImage({ version: UNKNOWN, requireDigest: true }))).toBe("digest-required");
  });

  it("treats a tag in the image in the same way", () => {
    expect(resolveImage({ image: "local/backend:dev" })).toMatchObject({
      reference: "local/backend:dev",
      byDefault: false,
    });
    expect(resolveImage({ image: `${DEFAULT_REPOSITORY}:${COMMIT}` }).digest).toBe(DIGEST);
    expect(codeOf(() => resolveImage({ image: "local/backend:dev", requireDigest: true }))).toBe("digest-required");
  });
});

describe("the catalogue", () => {
  it("is well-formed, newest first", () => {
    const names = releases().map(({ name }) => name);
    expect(names).toEqual(names.toSorted().toReversed());
  });

  it.each([
    [{}],
    [{ releases: [{ name: "2026-09-28" }] }],
    [{ releases: [{ name: "2026-09-28-5c7cb5b", commit: "5c7cb5b" }] }],
    [{ releases: [{ name: "2026-09-28-5c7cb5b", imageDigest: "d715" }] }],
    [{ releases: [{ name: "2026-09-28-5c7cb5b", binaries: { "x86_64-unknown-linux-gnu": null } }] }],
  ])("refuses malformed data %#", (data) => {
    expect(() => readPins(data)).toThrow(/pins\.json/);
  });
});

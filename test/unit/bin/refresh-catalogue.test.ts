import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { TARGETS } from "../../../bin/catalogue/plan.ts";
import { asMarkdown, refresh } from "../../../bin/refresh-catalogue.ts";
import { readPins } from "../../../src/backend/pins.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { CatalogueServer, type CatalogueWorld } from "./catalogue-server.ts";

const pins = JSON.parse(readFileSync(join(resolve(import.meta.dirname, "../../.."), "src/backend/pins.json"), "utf8"));
const sum = (digit: string): string => digit.repeat(64);
const assets = (targets = TARGETS, digit = "a"): Record<string, string> => ({
  ...Object.fromEntries(targets.map((target) => [`convex-local-backend-${target}.zip`, `sha256:${sum(digit)}`])),
  "dashboard.zip": `sha256:${sum("d")}`,
});
const commitOf = (short: string): string => short + "0".repeat(33);

/** A world in which one more release is complete. */
const world = (more: Partial<CatalogueWorld> = {}): Partial<CatalogueWorld> => ({
  releases: { "precompiled-2026-11-01-abcdef0": assets() },
  commits: { abcdef0: commitOf("abcdef0") },
  images: { [commitOf("abcdef0")]: `sha256:${sum("b")}` },
  ...more,
});

async function run(server: CatalogueServer, data: unknown = pins, token?: string) {
  const api = { url: server.url, ...(token === undefined ? {} : { token }) };
  return await refresh(data, { api, registry: server.url }, systemHttp);
}

describe("the refreshed catalogue", () => {
  it("has the newest complete release, by GitHub's digests and the registry's, and everything from before", async () => {
    await using server = await new CatalogueServer(world()).listen();
    const plan = await run(server);
    const [newest, ...others] = readPins({ releases: plan.releases });
    expect(newest).toEqual({
      name: "2026-11-01-abcdef0",
      commit: commitOf("abcdef0"),
      imageDigest: `sha256:${sum("b")}`,
      binaries: Object.fromEntries(TARGETS.map((target) => [target, sum("a")])),
    });
    expect(others).toEqual(readPins(pins));
    expect(asMarkdown(plan)).toContain("`2026-11-01-abcdef0`: new, with 5 binaries and its image");
  });

  it("is the same when nothing is new", async () => {
    await using server = await new CatalogueServer({
      releases: { "precompiled-2026-01-01-0000000": assets() },
    }).listen();
    const plan = await run(server);
    expect(plan.changes).toEqual([]);
    expect(plan.releases).toEqual(readPins(pins));
  });

  it("gets what was not known of a release", async () => {
    const name = "2026-10-06-a3538c6";
    const known = readPins(pins).find((release) => release.name === name)?.binaries ?? {};
    const more = {
      ...Object.fromEntries(
        Object.entries(known).map(([target, sha]) => [`convex-local-backend-${target}.zip`, `sha256:${sha}`]),
      ),
    };
    more["convex-local-backend-x86_64-pc-windows-msvc.zip"] = `sha256:${sum("e")}`;
    await using server = await new CatalogueServer({
      releases: { [`precompiled-${name}`]: more },
      commits: { a3538c6: commitOf("a3538c6") },
      images: { [commitOf("a3538c6")]: `sha256:${sum("c")}` },
    }).listen();
    const plan = await run(server);
    expect(plan.changes).toEqual([`\`${name}\`: now known are commit, imageDigest, x86_64-pc-windows-msvc`]);
    expect(plan.releases.find((release) => release.name === name)?.binaries).toMatchObject({
      "x86_64-pc-windows-msvc": sum("e"),
    });
  });

  it.each(["get-convex", "convex"])("is found under the organisation %s, images under either", async (organisation) => {
    for (const imageOrganisation of ["get-convex", "convex"]) {
      await using server = await new CatalogueServer(world({ organisation, imageOrganisation })).listen();
      expect((await run(server)).changes).toHaveLength(1);
    }
  });

  it("is found behind a full page of releases", async () => {
    const old = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`self-hosted-release-${at}`, {}]));
    await using server = await new CatalogueServer(world({ releases: { ...old, ...world().releases } })).listen();
    expect((await run(server)).changes).toHaveLength(1);
  });
});

describe("a build that is split over two tags", () => {
  it("gets an entry for each, and is told", async () => {
    const releases = {
      "precompiled-2026-11-02-abcdef0": assets(TARGETS.slice(0, 2)),
      "precompiled-2026-11-01-abcdef0": assets(TARGETS.slice(2), "c"),
    };
    await using server = await new CatalogueServer(world({ releases })).listen();
    const plan = await run(server);
    expect(plan.releases.slice(0, 2).map(({ name, binaries = {} }) => [name, Object.keys(binaries)])).toEqual([
      ["2026-11-02-abcdef0", TARGETS.slice(0, 2)],
      ["2026-11-01-abcdef0", TARGETS.slice(2)],
    ]);
    expect(plan.notes.join()).toContain("several tags of the same build");
  });
});

describe("a release that lacks something is left out and told", () => {
  it.each<[string, Partial<CatalogueWorld>, string]>([
    [
      "a binary",
      { releases: { "precompiled-2026-11-01-abcdef0": assets(TARGETS.slice(1)) } },
      "x86_64-unknown-linux-gnu",
    ],
    ["its image", { images: {} }, "image"],
    ["a commit that its name is of", { commits: { abcdef0: commitOf("1234567") } }, "image"],
    [
      "a digest",
      {
        releases: {
          "precompiled-2026-11-01-abcdef0": { ...assets(), [`convex-local-backend-${TARGETS[0]}.zip`]: null },
        },
      },
      "x86_64-unknown-linux-gnu",
    ],
  ])("%s", async (_, more, missing) => {
    await using server = await new CatalogueServer(world(more)).listen();
    const plan = await run(server);
    expect(plan.changes).toEqual([]);
    expect(plan.notes.join()).toContain(`lacks ${missing}`);
  });

  it("for the one before it, which is complete", async () => {
    const releases = { "precompiled-2026-11-05-1111111": assets(TARGETS.slice(1)), ...world().releases };
    await using server = await new CatalogueServer(world({ releases })).listen();
    expect((await run(server)).changes.join()).toContain("2026-11-01-abcdef0");
  });
});

describe("what must not happen", () => {
  it("an asset that is known has another digest: nothing is written, somebody has to look", async () => {
    const name = "precompiled-2026-10-06-a3538c6";
    await using server = await new CatalogueServer({ releases: { [name]: assets(TARGETS, "f") } }).listen();
    await expect(run(server)).rejects.toThrow(/asset for .* has changed/);
  });

  it("an image that is known has another digest", async () => {
    const release = readPins(pins).find(({ imageDigest }) => imageDigest !== undefined);
    const commit = release?.commit ?? "";
    await using server = await new CatalogueServer({
      releases: { [`precompiled-${release?.name}`]: {} },
      commits: { [commit.slice(0, 7)]: commit },
      images: { [commit]: `sha256:${sum("9")}` },
    }).listen();
    await expect(run(server)).rejects.toThrow("imageDigest has changed");
  });

  it("the token for GitHub goes to the registry", async () => {
    await using server = await new CatalogueServer(world()).listen();
    await run(server, pins, "ghs_sentinel");
    const sent = server.requests.filter((request) => request.includes("ghs_sentinel"));
    expect(sent.length).toBeGreaterThan(0);
    expect(sent.filter((request) => !/^GET \/repos\//.test(request))).toEqual([]);
  });

  it("an answer that is no list of releases is taken for one", async () => {
    await using server = await new CatalogueServer(world({ organisation: "nobody" })).listen();
    await expect(run(server)).rejects.toThrow("neither get-convex nor convex");
  });
});

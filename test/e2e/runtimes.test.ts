import { describe, expect } from "vitest";
import { docker } from "./harness/engine.ts";
import { world } from "./harness/world.ts";
import { expectNoLeaks, expectNothingLeft, start, test } from "./support.ts";

const noDeploy = { DEPLOY: "false" };

/** Forgets the stand-in's images, so that the next start has to pull. */
async function forgetImages(): Promise<void> {
  const images = await docker("images", "-q", "--filter", "label=convex-selfhost.test-double=true");
  for (const id of new Set(images.split("\n").filter((line) => line !== ""))) await docker("rmi", "-f", id);
}

describe("docker", () => {
  test("pulls the release that the catalogue pins, by its digest", async ({ before }) => {
    await forgetImages();
    const run = await start({ ...noDeploy, RUNTIME: "docker" });
    expect(run.exitCode, run.log).toBe(0);
    const { commit, digest } = world().image;
    expect(run.outputs("convex")).toMatchObject({ "image-digest": digest, version: expect.stringContaining("2026-") });
    expect(run.summary).toContain(commit.slice(0, 7));
    expect(run.output("answers")).toContain("convex-self-hosted");
    expectNoLeaks(run);
    await expectNothingLeft(run, before);
  });

  test("pulls a commit that no catalogue knows, and shows the digest that the registry gave", async ({ before }) => {
    await forgetImages();
    const { other } = world().image;
    const run = await start({ ...noDeploy, VERSION: other.commit });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("convex")["image-digest"]).toBe(other.digest);
    expect(run.annotations).toContainEqual(
      expect.objectContaining({ level: "warning", message: expect.stringContaining(other.commit) }),
    );
    await expectNothingLeft(run, before);
  });

  test("takes a digest as the version, and pulls again only when told so", async ({ before }) => {
    await forgetImages();
    const version = { ...noDeploy, VERSION: world().image.other.digest };
    const never = await start({ ...version, PULL: "never" });
    expect(never.errorCode, never.log).toBe("image-missing");
    const first = await start({ ...version, PULL: "missing" });
    expect(first.outputs("convex")["image-digest"], first.log).toBe(world().image.other.digest);
    const present = await start({ ...version, PULL: "never" });
    expect(present.exitCode, present.log).toBe(0);
    await expectNothingLeft(present, before);
  });

  test("logs in to a registry as docker itself would", async ({ before }) => {
    const { repository, user, password } = world().locked;
    const image = { ...noDeploy, IMAGE: repository, VERSION: world().image.commit };
    await forgetImages();
    const refused = await start(image);
    expect(refused.errorCode, refused.log).toBe("registry-unauthorized");
    const auth = Buffer.from(`${user}:${password}`).toString("base64");
    const config = JSON.stringify({ auths: { [repository.split("/")[0] ?? ""]: { auth } } });
    const run = await start(image, {
      files: { "docker/config.json": config },
      env: { DOCKER_CONFIG: "docker" },
    });
    expect(run.exitCode, run.log).toBe(0);
    expectNoLeaks(run, "convex", { password, auth });
    await expectNothingLeft(run, before);
  });

  test("keeps a named volume, and its data is there the next time", async ({ before }) => {
    const vars = { ...noDeploy, DATA: "kept-data" };
    const first = await start({ ...vars, ENV: "KEPT=yes" });
    expect(first.exitCode, first.log).toBe(0);
    expect(await before.leftovers()).toEqual(["volume kept-data"]);
    const second = await start(vars);
    expect(second.exitCode, second.log).toBe(0);
    await docker("volume", "rm", "kept-data");
    await expectNothingLeft(second, before);
  });
});

describe("binary", () => {
  test("downloads the release that the catalogue pins, and takes it from the tool cache the next time", async ({
    before,
  }) => {
    const { origin, path, known } = world().releases;
    const vars = { ...noDeploy, RUNTIME: "binary", RELEASES: `${origin}${path}` };
    const first = await start(vars);
    expect(first.exitCode, first.log).toBe(0);
    expect(first.outputs("convex")["version"]).toBe(known.replace("precompiled-", ""));
    expect(first.output("convex")).toContain("Downloaded convex-local-backend-");
    const second = await start(vars, { home: first.home });
    expect(second.exitCode, second.log).toBe(0);
    expect(second.output("convex")).not.toContain("Downloaded");
    expectNoLeaks(second);
    await expectNothingLeft(second, before);
  });

  test("takes a release that no catalogue knows by the checksum of the releases API, with a warning", async ({
    before,
  }) => {
    const { origin, path, tag } = world().releases;
    const vars = { ...noDeploy, RUNTIME: "binary", RELEASES: `${origin}${path}`, VERSION: tag };
    const run = await start(vars);
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("convex")["version"]).toBe(tag.replace("precompiled-", ""));
    expect(run.annotations.some(({ level, message }) => level === "warning" && /checksum/.test(message))).toBe(true);
    await expectNothingLeft(run, before);
  });

  test("keeps a directory", async ({ before }) => {
    const data = `${world().scratch}/kept`;
    const vars = { ...noDeploy, RUNTIME: "binary", BINARY_PATH: world().binary, DATA: data };
    const first = await start(vars);
    expect(first.exitCode, first.log).toBe(0);
    const second = await start(vars);
    expect(second.exitCode, second.log).toBe(0);
    await expectNothingLeft(second, before);
  });
});

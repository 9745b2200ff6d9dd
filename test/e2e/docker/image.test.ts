import { createHash } from "node:crypto";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { connectEngine } from "../../../src/backend/docker/engine.ts";
import { ensureImage, type PullPolicy, type WantedImage } from "../../../src/backend/docker/image.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { docker } from "../harness/engine.ts";
import { world } from "../harness/world.ts";
import { folder, forgetImages, loginFor, type RealDeps, realDeps } from "./support.ts";

const { image: standin, locked, untrusted, faultyRegistry } = world();
const { repository, commit, digest } = standin;
const pinned: WantedImage = { reference: `${repository}@${digest}`, digest, commit };

async function ensure(wanted: WantedImage, pull: PullPolicy = "missing", deps: RealDeps = realDeps({}, true)) {
  return await ensureImage(await connectEngine(deps), wanted, pull, deps);
}

beforeEach(forgetImages);

describe("a real pull", () => {
  it("brings the image by its digest, once", async () => {
    const first = await ensure(pinned);
    expect(first).toMatchObject({ digest, revision: commit, pulled: true, reference: pinned.reference });
    expect(first.entrypoint).toEqual(["./run_backend.sh"]);
    expect(await ensure(pinned)).toEqual({ ...first, pulled: false });
    expect(await ensure(pinned, "never")).toEqual({ ...first, pulled: false });
    expect(await ensure(pinned, "always")).toEqual(first);
  });

  it("brings an image that no catalogue knows by its tag, and tells its digest", async () => {
    const { other } = standin;
    const byTag = { reference: `${repository}:${other.commit}`, commit: other.commit };
    expect(await ensure(byTag)).toMatchObject({ digest: other.digest, revision: other.commit, pulled: true });
    expect(await ensure(byTag)).toMatchObject({ digest: other.digest, pulled: false });
  });

  it("refuses an image whose label names another commit", async () => {
    const wrong = { reference: `${repository}:${commit}`, commit: standin.other.commit };
    await expect(ensure(wrong)).rejects.toMatchObject({ code: "image-revision-mismatch" });
  });

  it("refuses a tag that was moved to another image", async () => {
    const wanted = `sha256:${"0".repeat(64)}`;
    await expect(ensure({ reference: `${repository}@${wanted}`, digest: wanted, commit })).rejects.toMatchObject({
      code: "image-digest-mismatch",
      message: `${repository}:${commit} is ${digest}, but ${wanted} is wanted. Nothing was started.`,
    });
    await ensure(pinned);
    await docker("tag", pinned.reference, `${repository}:${standin.other.commit}`);
    const moved = {
      reference: `${repository}@${standin.other.digest}`,
      digest: standin.other.digest,
      commit: standin.other.commit,
    };
    await expect(ensure(moved, "never")).rejects.toMatchObject({ code: "image-digest-mismatch" });
    expect(await ensure(moved)).toMatchObject({ digest: standin.other.digest, pulled: true });
  });

  it("does not trust an image that was loaded from a file where a digest is wanted", async () => {
    const file = join(folder(), "image.tar");
    await ensure(pinned);
    await docker("tag", pinned.reference, `${repository}:${commit}`);
    await docker("save", "-o", file, `${repository}:${commit}`);
    await forgetImages();
    await docker("load", "-i", file);
    const byTag = await ensure({ reference: `${repository}:${commit}`, commit }, "never");
    expect(byTag).toMatchObject({ revision: commit, pulled: false });
    if (byTag.digest === undefined) {
      await expect(ensure(pinned, "never")).rejects.toMatchObject({ code: "image-digest-unknown" });
      expect(await ensure(pinned)).toMatchObject({ digest, pulled: true });
    } else {
      // Engines with the containerd store save the manifest too, and check it when they load.
      expect(await ensure(pinned, "never")).toMatchObject({ digest, pulled: false });
    }
  });

  it("says that it is missing when it may not be pulled", async () => {
    await expect(ensure(pinned, "never")).rejects.toMatchObject({ code: "image-missing" });
  });
});

describe("an index of several platforms", () => {
  const auth = { authorization: `Basic ${Buffer.from(`${locked.user}:${locked.password}`).toString("base64")}` };
  const login = loginFor(locked.repository.split("/")[0] ?? "", locked.user, locked.password);

  /** Puts an index with our manifest as the one for this platform into the locked registry. */
  async function publishIndex(): Promise<string> {
    const [host = "", ...path] = locked.repository.split("/");
    const base = `http://${host}/v2/${path.join("/")}/manifests`;
    // Older engines push Docker's own kind of manifest, newer ones the OCI's.
    const accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
    const manifest = await systemHttp.request(`${base}/${digest}`, { headers: { ...auth, accept } });
    expect(manifest.status).toBe(200);
    const type = manifest.headers["content-type"];
    const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
    const mediaType = "application/vnd.docker.distribution.manifest.list.v2+json";
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      manifests: [{ mediaType: type, size: manifest.body.length, digest, platform }],
    });
    const put = await systemHttp.request(`${base}/index`, {
      method: "PUT",
      headers: { ...auth, "content-type": mediaType },
      body: index,
    });
    expect(put.status).toBe(201);
    return `sha256:${createHash("sha256").update(index).digest("hex")}`;
  }

  it("is identified by its own digest and by that of the platform's manifest", async () => {
    const index = await publishIndex();
    const byIndex = { reference: `${locked.repository}@${index}`, digest: index };
    expect(await ensure(byIndex, "missing", realDeps(login, true))).toMatchObject({ digest: index, pulled: true });
    expect(await ensure(byIndex, "never")).toMatchObject({ digest: index, reference: byIndex.reference });
    const byPlatform = { reference: `${locked.repository}@${digest}`, digest };
    expect(await ensure(byPlatform, "missing", realDeps(login, true))).toMatchObject({ digest });
    expect(await ensure({ ...byPlatform, reference: `${locked.repository}@${index}` }, "never")).toMatchObject({
      digest,
    });
    const byTag = { reference: `${locked.repository}:index` };
    expect(await ensure(byTag, "always", realDeps(login, true))).toMatchObject({ digest: index });
  });
});

describe("a registry that refuses or fails", () => {
  const registry = locked.repository.split("/")[0] ?? "";

  it("takes the login of docker login", async () => {
    const deps = realDeps(loginFor(registry, locked.user, locked.password), true);
    expect(await ensure({ reference: `${locked.repository}@${digest}`, digest }, "missing", deps)).toMatchObject({
      digest,
    });
  });

  it.each([
    ["no login", {}, "wants a login"],
    ["a wrong login", loginFor(registry, locked.user, "wrong-password"), "does not accept the stored login"],
  ])("%s", async (_name, env, words) => {
    const deps = realDeps(env, true);
    const failure = ensure({ reference: `${locked.repository}:${commit}` }, "missing", deps);
    await expect(failure).rejects.toMatchObject({
      code: "registry-unauthorized",
      message: expect.stringContaining(words),
    });
    await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining("wrong-password") });
    expect(deps.slept).toEqual([]);
  });

  it.each([
    ["fault-401", "registry-unauthorized", 1],
    ["fault-403", "registry-denied", 1],
    ["fault-404", "image-not-found", 1],
    ["fault-429", "registry-rate-limit", 4],
    ["fault-500", "registry-failed", 4],
    ["fault-cut", "registry-unreachable", 4],
  ] as const)("%s ends in %s after %i tries", async (fault, code, tries) => {
    const deps = realDeps({}, true);
    const reference = `${faultyRegistry}/${fault}/convex-backend:${commit}`;
    await expect(ensure({ reference }, "missing", deps)).rejects.toMatchObject({ code });
    expect(deps.slept).toHaveLength(tries - 1);
    expect(deps.lines.filter((line) => line.startsWith("warning: "))).toHaveLength(tries - 1);
  });

  it("says that its certificate is not trusted", async () => {
    await expect(ensure({ reference: `${untrusted}:${commit}` })).rejects.toMatchObject({
      code: "registry-tls",
      hint: expect.stringContaining("/etc/docker/certs.d/untrusted.test:5444/ca.crt"),
    });
  });

  it("says that nobody is there", async () => {
    const deps = realDeps({}, true);
    await expect(ensure({ reference: `127.0.0.1:1/a/b:${commit}` }, "missing", deps)).rejects.toMatchObject({
      code: "registry-unreachable",
    });
    expect(deps.slept).toEqual([2000, 6000, 15000]);
  });
});

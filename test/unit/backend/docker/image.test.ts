import { describe, expect, it } from "vitest";
import { connectEngine } from "../../../../src/backend/docker/engine.ts";
import { ensureImage, type PullPolicy, type WantedImage } from "../../../../src/backend/docker/image.ts";
import { type Answer, type Asked, fakeEngine, type TestDeps, testDeps } from "./support.ts";

const repository = "ghcr.io/get-convex/convex-backend";
const commit = "5c7cb5bc7db457290f1769f95f1d1340912f7fd7";
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const [index, platform, config, foreign] = [digest("a"), digest("b"), digest("c"), digest("d")];

function info(repoDigests: readonly string[], more: object = {}): Answer {
  const labels = { "org.opencontainers.image.revision": commit };
  return {
    json: { Id: config, RepoDigests: repoDigests, Config: { Labels: labels, Entrypoint: ["./run.sh"] }, ...more },
  };
}

function lines(...values: object[]): Answer {
  return (response) => {
    response.writeHead(200);
    response.end(values.map((value) => JSON.stringify(value)).join("\r\n"));
  };
}

/** An engine with the images of `present` by name; a pull answers with the next of `pulls` and brings `pulled`. */
async function ensure(
  wanted: WantedImage,
  pull: PullPolicy,
  engine: { present?: Record<string, Answer>; pulls?: Answer[]; pulled?: Record<string, Answer>; registry?: Answer },
) {
  const present = { ...engine.present };
  const pulls = [...(engine.pulls ?? [])];
  const answer = ({ path, query }: Asked): Answer => {
    if (path === "/images/create") {
      expect(query.get("fromImage")).toBe(wanted.reference);
      Object.assign(present, engine.pulled);
      return pulls.shift() ?? lines({ status: "done" });
    }
    if (path.startsWith("/distribution/")) return engine.registry;
    return present[path.replace(/^\/images\/(.*)\/json$/, "$1")];
  };
  const { address, asked } = await fakeEngine(answer);
  const deps: TestDeps = testDeps();
  const result = ensureImage(await connectEngine(deps, address), wanted, pull, deps);
  await result.catch(() => undefined);
  const pullsMade = asked.filter(({ path }) => path === "/images/create").length;
  return { result, deps, pulls: pullsMade, asked };
}

const byDigest = { reference: `${repository}@${index}`, digest: index, commit };
const byTag = { reference: `${repository}:${commit}`, commit };

describe("ensureImage", () => {
  it("does not pull what is there, and makes the container of what was checked", async () => {
    const present = { [byDigest.reference]: info([`${repository}@${index}`]) };
    const { result, pulls } = await ensure(byDigest, "missing", { present });
    expect(await result).toEqual({
      reference: `${repository}@${index}`,
      id: config,
      digest: index,
      revision: commit,
      entrypoint: ["./run.sh"],
      cmd: [],
      pulled: false,
    });
    expect(pulls).toBe(0);
  });

  it("pulls what is not there", async () => {
    const { result, pulls } = await ensure(byDigest, "missing", {
      pulled: { [byDigest.reference]: info([`${repository}@${index}`]) },
    });
    expect(await result).toMatchObject({ digest: index, pulled: true });
    expect(pulls).toBe(1);
  });

  it("pulls always when told so, and takes the digest that the pull tells", async () => {
    const both = info([`${repository}@${platform}`, `${repository}@${index}`]);
    const { result, pulls } = await ensure(byTag, "always", {
      present: { [byTag.reference]: both },
      pulls: [lines({ status: "Pulling", id: "x" }, { status: `Digest: ${index}` })],
    });
    expect(await result).toMatchObject({ digest: index, reference: `${repository}@${index}`, pulled: true });
    expect(pulls).toBe(1);
  });

  it.each([
    ["the index's digest", index],
    ["the platform manifest's digest", platform],
    ["the image's id (the manifest's digest in the containerd store)", config],
  ])("accepts %s", async (_name, wanted) => {
    const present = { [`${repository}:${commit}`]: info([`${repository}@${index}`, `${repository}@${platform}`]) };
    const { result } = await ensure({ reference: `${repository}@${wanted}`, digest: wanted, commit }, "never", {
      present,
    });
    expect(await result).toMatchObject({ digest: wanted, pulled: false });
  });

  it("accepts the digest that the containerd store describes", async () => {
    const present = { [byTag.reference]: info([], { Descriptor: { digest: index } }) };
    const { result } = await ensure(byDigest, "never", { present });
    expect(await result).toMatchObject({ digest: index, reference: config });
  });

  it("accepts the manifest of an index that is here, and no other of it", async () => {
    const manifest = (digest: string, Kind: string, Available: boolean) => ({
      Descriptor: { digest },
      Kind,
      Available,
    });
    const Manifests = [
      manifest(platform, "image", true),
      manifest(foreign, "image", false),
      manifest(config, "attestation", true),
    ];
    const present = { [byTag.reference]: info([`${repository}@${index}`], { Id: index, Manifests }) };
    const wanted = (digest: string): WantedImage => ({ reference: byTag.reference, digest });
    expect(await (await ensure(wanted(platform), "never", { present })).result).toMatchObject({
      digest: platform,
      reference: index,
    });
    for (const other of [foreign, config]) {
      const { result } = await ensure(wanted(other), "never", { present });
      await expect(result).rejects.toMatchObject({ code: "image-digest-mismatch" });
    }
  });

  it("never pulls when told so", async () => {
    const { result, pulls } = await ensure(byTag, "never", {});
    await expect(result).rejects.toMatchObject({
      code: "image-missing",
      hint: expect.stringContaining("pull: missing"),
    });
    expect(pulls).toBe(0);
  });

  it("refuses another image under the tag", async () => {
    const present = { [byTag.reference]: info([`${repository}@${foreign}`]) };
    const { result } = await ensure(byDigest, "never", { present });
    await expect(result).rejects.toMatchObject({
      code: "image-digest-mismatch",
      message: `${byTag.reference} is ${foreign}, but ${index} is wanted. Nothing was started.`,
    });
  });

  it("refuses a loaded image whose digest cannot be known, and pulls it where that is allowed", async () => {
    const present = { [byTag.reference]: info([]) };
    const never = await ensure(byDigest, "never", { present });
    await expect(never.result).rejects.toMatchObject({ code: "image-digest-unknown" });
    const pulled = { [byDigest.reference]: info([`${repository}@${index}`]) };
    const missing = await ensure(byDigest, "missing", { present, pulled });
    expect(await missing.result).toMatchObject({ digest: index, pulled: true });
  });

  it("refuses an image that is another one after the pull", async () => {
    const pulled = { [byDigest.reference]: info([`${repository}@${foreign}`]) };
    const { result } = await ensure(byDigest, "missing", { pulled });
    await expect(result).rejects.toMatchObject({ code: "image-digest-mismatch" });
  });

  it("tells a moved tag from a missing image", async () => {
    const notFound: Answer = { status: 404, json: { message: "manifest unknown" } };
    const moved = await ensure(byDigest, "missing", {
      pulls: [notFound],
      registry: { json: { Descriptor: { digest: foreign } } },
    });
    await expect(moved.result).rejects.toMatchObject({
      code: "image-digest-mismatch",
      message: expect.stringContaining(foreign),
    });
    const gone = await ensure(byDigest, "missing", { pulls: [notFound] });
    await expect(gone.result).rejects.toMatchObject({ code: "image-not-found" });
    expect(gone.pulls).toBe(1);
  });

  it("compares the revision label, under the wanted digest too", async () => {
    const other = info([`${repository}@${index}`], {
      Config: { Labels: { "org.opencontainers.image.revision": "f".repeat(40) } },
    });
    const wrong = await ensure(byTag, "missing", { present: { [byTag.reference]: other } });
    await expect(wrong.result).rejects.toMatchObject({ code: "image-revision-mismatch" });
    const contradiction = await ensure(byDigest, "missing", { present: { [byDigest.reference]: other } });
    await expect(contradiction.result).rejects.toMatchObject({ code: "image-revision-mismatch" });
    const short = await ensure({ reference: byTag.reference, commit: commit.slice(0, 7) }, "missing", {
      present: { [byTag.reference]: info([`${repository}@${index}`]) },
    });
    expect(await short.result).toMatchObject({ revision: commit, digest: index });
    const unlabelled = await ensure(byTag, "missing", { present: { [byTag.reference]: info([], { Config: {} }) } });
    expect(await unlabelled.result).toMatchObject({ id: config, reference: config });
    expect(unlabelled.deps.lines).toContainEqual({ level: "warning", message: expect.stringContaining("no label") });
  });
});

describe("pulling", () => {
  const pulled = { [byTag.reference]: info([`${repository}@${index}`]) };

  it.each([
    ["a refusal in a 200 body", lines({ status: "Pulling" }, { errorDetail: { message: "unexpected EOF" } })],
    ["a status", { status: 500, json: { message: "received unexpected HTTP status: 503 Service Unavailable" } }],
    ["a rate limit", { status: 500, json: { message: "toomanyrequests: slow down" } }],
  ] as const)("tries again after %s, and says so", async (_name, fault) => {
    const { result, pulls, deps } = await ensure(byTag, "always", { pulls: [fault, fault], pulled });
    expect(await result).toMatchObject({ pulled: true });
    expect(pulls).toBe(3);
    expect(deps.slept).toEqual([2000, 6000]);
    expect(deps.lines.filter(({ level }) => level === "warning").map(({ message }) => message)).toEqual([
      expect.stringContaining("Trying again in 2 s (try 2 of 4)."),
      expect.stringContaining("Trying again in 6 s (try 3 of 4)."),
    ]);
  });

  it("gives up after four tries", async () => {
    const fault: Answer = { status: 500, json: { message: "toomanyrequests: slow down" } };
    const { result, pulls } = await ensure(byTag, "always", { pulls: [fault, fault, fault, fault, fault] });
    await expect(result).rejects.toMatchObject({ code: "registry-rate-limit" });
    expect(pulls).toBe(4);
  });

  it("does not try again what will not change", async () => {
    const { result, pulls } = await ensure(byTag, "always", { pulls: [{ status: 500, json: { message: "denied" } }] });
    await expect(result).rejects.toMatchObject({ code: "registry-denied" });
    expect(pulls).toBe(1);
  });

  it("says so when the engine itself breaks off", async () => {
    const cut: Answer = (response) => {
      response.writeHead(200);
      response.write('{"status":"Pulling"}\n', () => response.destroy());
    };
    const { result } = await ensure(byTag, "always", { pulls: [cut] });
    await expect(result).rejects.toMatchObject({ code: "engine-lost" });
  });
});

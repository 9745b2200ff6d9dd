import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { releases as catalogue } from "../../../src/backend/pins.ts";
import { buildImageContext, buildStandin } from "../../standin/bundle.ts";
import type { Daemon } from "./daemon.ts";
import { buildDoubles } from "./doubles.ts";
import { docker, startEngine, trustRegistries } from "./engine.ts";
import { startFaultyRegistry } from "./faulty-registry.ts";
import { buildStandinImage, importBase, push } from "./image.ts";
import { makeCertificate, startRegistry } from "./registry.ts";
import { releaseOf, startReleases } from "./releases.ts";
import { outsideAddress } from "./sandbox.ts";
import { act, root, tool } from "./tools.ts";
import type { World } from "./world.ts";

const repository = "ghcr.io/get-convex/convex-backend";
const moved = "ghcr.io/get-convex/moved";
const otherCommit = "0123456789abcdef0123456789abcdef01234567";
const login = { user: "ada", password: "open sesame 1" };
const htpasswd = "ada:$2b$04$vTwpfyXg.Kz7qq0LIa41le6xUlpYZdtYMFJ32PUv9eEj8tQnuRpTS\n";

/** What the catalogue pins: our stand-ins take its place. */
function pinned(): { commit: string; digest: string; binary: { name: string; sha256: string } } {
  const image = catalogue().find(({ imageDigest }) => imageDigest !== undefined);
  const target = `${process.arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-gnu`;
  const binary = catalogue().find(({ binaries }) => binaries?.[target] !== undefined);
  const sha256 = binary?.binaries?.[target];
  if (image?.commit === undefined || image.imageDigest === undefined || binary === undefined || sha256 === undefined) {
    throw new Error("the catalogue pins no image or no binary");
  }
  return { commit: image.commit, digest: image.imageDigest, binary: { name: binary.name, sha256 } };
}

/** Three registries over one store: the official name with TLS, one behind a password, one whose certificate nobody trusts. */
async function startRegistries(folder: string): Promise<void> {
  const certificates = join(folder, "certificates");
  const [official, unknown] = await Promise.all([
    makeCertificate(certificates, "ghcr.io"),
    makeCertificate(certificates, "untrusted.test"),
  ]);
  const names = `127.0.0.1 localhost\n::1 localhost\n${outsideAddress} ghcr.io untrusted.test\n`;
  await trustRegistries(folder, names, { "ghcr.io": official.pem });
  const store = join(folder, "registry");
  await Promise.all([
    startRegistry({ folder: store, name: "ghcr", address: outsideAddress, port: 443, certificate: official }),
    startRegistry({ folder: store, name: "untrusted", address: outsideAddress, port: 5444, certificate: unknown }),
    startRegistry({ folder: store, name: "locked", address: "127.0.0.1", port: 5001, htpasswd }),
  ]);
}

async function makeImages(folder: string, context: string, commit: string): Promise<World["image"]> {
  const base = "standin-base:1";
  await importBase(join(folder, "rootfs"), base);
  const publish = async (name: string, revision: string, tag: string): Promise<string> => {
    await buildStandinImage(context, base, "standin:1", revision);
    const digest = await push("standin:1", `${name}:${tag}`);
    // Gone here, so that the action has something to pull.
    await docker("rmi", "standin:1");
    return digest;
  };
  const digest = await publish(repository, commit, commit);
  const other = { commit: otherCommit, digest: await publish(repository, otherCommit, otherCommit) };
  await publish(moved, otherCommit, commit);
  return { repository, commit, digest, other, moved, base };
}

/** The actions as a user gets them, except that the catalogue names the stand-in's digest and checksum. */
function copyAction(folder: string, replaced: Readonly<Record<string, string>>): string | undefined {
  const target = join(folder, "action");
  if (!existsSync(join(root, "dist"))) return undefined;
  const actions = readdirSync(root).filter((name) => existsSync(join(root, name, "action.yml")));
  for (const path of ["action.yml", ...actions.map((name) => join(name, "action.yml"))]) {
    cpSync(join(root, path), join(target, path));
  }
  cpSync(join(root, "dist"), join(target, "dist"), { recursive: true });
  cpSync(join(root, ".github/workflows"), join(target, ".github/workflows"), { recursive: true });
  const missing = new Set(Object.keys(replaced));
  for (const file of readdirSync(target, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".js"),
  )) {
    let text = readFileSync(join(target, file), "utf8");
    for (const [from, to] of Object.entries(replaced)) {
      if (!text.includes(from)) continue;
      missing.delete(from);
      text = text.replaceAll(from, to);
    }
    writeFileSync(join(target, file), text);
  }
  if (missing.size > 0) throw new Error(`dist/ does not hold the catalogue's ${[...missing].join(", ")}`);
  return target;
}

/** A folder with what a runner has first on its PATH. */
function fillBin(folder: string): string {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  symlinkSync(act(), join(bin, "act"));
  symlinkSync(tool("npm"), join(bin, "npm"));
  return bin;
}

/** Starts everything that the tests share. */
export async function setUp(scratch: string): Promise<{ world: World; engine: Daemon }> {
  const shared = join(scratch, "shared");
  const context = join(shared, "standin-image");
  const program = join(shared, "standin");
  mkdirSync(shared);
  mkdirSync(join(scratch, "tmp"));
  const { commit, digest, binary } = pinned();
  const [engine, , , faultyRegistry] = await Promise.all([
    startRegistries(shared).then(() => startEngine(join(shared, "engine"))),
    buildImageContext(context),
    buildStandin(program),
    startFaultyRegistry(),
  ]);
  const executable = join(program, "convex-local-backend");
  const bytes = readFileSync(executable);
  const known = releaseOf(`precompiled-${binary.name}`, bytes);
  const unknown = releaseOf("precompiled-2026-11-01-0123456", bytes);
  const [zip] = Object.values(known.assets);
  if (zip === undefined) throw new Error("a release without assets");
  // The local runner makes it for jobs in containers and keeps it.
  await docker("volume", "create", "act-toolcache");
  const [image, releases] = await Promise.all([makeImages(shared, context, commit), startReleases([known, unknown])]);
  buildDoubles(join(shared, "doubles"));
  const sha256 = createHash("sha256").update(zip).digest("hex");
  const action = copyAction(shared, { [digest]: image.digest, [binary.sha256]: sha256 });
  const world: World = {
    scratch,
    bin: fillBin(shared),
    ...(action === undefined ? {} : { action }),
    image,
    locked: { repository: "127.0.0.1:5001/get-convex/convex-backend", ...login },
    untrusted: "untrusted.test:5444/get-convex/convex-backend",
    faultyRegistry,
    releases: { ...releases, tag: unknown.tag, known: known.tag },
    binary: executable,
  };
  return { world, engine };
}

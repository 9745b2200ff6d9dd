import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { unlessMissing } from "./containers.ts";
import { type Engine, EngineFault } from "./engine.ts";
import { type Fields, fieldsOf, listOf, textMapOf, textOf, textsOf } from "./fields.ts";
import { pullImage } from "./pull.ts";
import { splitReference } from "./reference.ts";

export type PullPolicy = "missing" | "always" | "never";

/** The part of the catalogue's `ImageChoice` that counts here. */
export interface WantedImage {
  /** `repository@digest`, or `repository:tag`. */
  readonly reference: string;
  /** What runs must have it. */
  readonly digest?: string;
  /** Full commit or its first digits, which the revision label must begin with. */
  readonly commit?: string;
}

/** An image that the engine has, checked. */
export interface Image {
  /** What a container is made of: never a tag, which could be moved between check and start. */
  readonly reference: string;
  readonly id: string;
  /** Registry digest; absent for an image that was built or loaded and never pulled. */
  readonly digest?: string;
  /** Label `org.opencontainers.image.revision`. */
  readonly revision?: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly pulled: boolean;
}

/** What the engine says of an image ("Inspect an image"). */
export interface ImageInfo {
  readonly id: string;
  /** `repository@sha256:…`: of an index, of the platform's manifest, or both, whatever it was pulled by. */
  readonly repoDigests: readonly string[];
  /** What the containerd store holds: an index, or a manifest (API 1.48 and newer). */
  readonly descriptor?: string;
  /** The index's manifests that are here; those of other platforms are not. */
  readonly manifests: readonly string[];
  readonly revision?: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
}

/** @returns undefined when the engine has no such image */
export async function inspectImage(engine: Engine, reference: string): Promise<ImageInfo | undefined> {
  const path = `/images/${reference.split("/").map(encodeURIComponent).join("/")}/json`;
  const answer = await unlessMissing(() =>
    engine.request(`look up the image ${reference}`, path, { query: { manifests: "1" } }),
  );
  if (answer === undefined) return undefined;
  const json = fieldsOf(answer.json());
  const config = fieldsOf(json["Config"]);
  const descriptor = textOf(fieldsOf(json["Descriptor"])["digest"]);
  const revision = textMapOf(config["Labels"])["org.opencontainers.image.revision"];
  return {
    id: textOf(json["Id"]) ?? "",
    repoDigests: textsOf(json["RepoDigests"]),
    ...(descriptor === undefined ? {} : { descriptor }),
    manifests: listOf(json["Manifests"]).map(fieldsOf).flatMap(availableManifest),
    ...(revision === undefined ? {} : { revision }),
    entrypoint: textsOf(config["Entrypoint"]),
    cmd: textsOf(config["Cmd"]),
  };
}

/** Attestations are listed as well, and platforms that were not pulled. */
function availableManifest(manifest: Fields): string[] {
  const digest = textOf(fieldsOf(manifest["Descriptor"])["digest"]);
  return digest !== undefined && manifest["Available"] === true && manifest["Kind"] === "image" ? [digest] : [];
}

/** Every digest that names exactly this image: what it was pulled by, and what its content hashes to. */
function digestsOf(image: ImageInfo): string[] {
  const pulledBy = image.repoDigests.flatMap((entry) => splitReference(entry).digest ?? []);
  return [...pulledBy, ...(image.descriptor === undefined ? [] : [image.descriptor]), ...image.manifests, image.id];
}

/** Whether `digest` (of an index or a manifest) names this image. */
export function isImage(image: ImageInfo, digest: string): boolean {
  return digestsOf(image).includes(digest);
}

/**
 * Makes sure that the engine has the wanted image, and that it is the wanted one.
 * @throws ActionError those of `pullImage`; `image-missing` (pull: never), `image-digest-mismatch`, `image-digest-unknown`, `image-revision-mismatch`
 */
export async function ensureImage(engine: Engine, wanted: WantedImage, pull: PullPolicy, deps: Deps): Promise<Image> {
  const present = pull === "always" ? undefined : await findPresent(engine, wanted, pull);
  const pulledDigest = present === undefined ? await pullWanted(engine, wanted, pull, deps) : undefined;
  const info = present ?? (await inspectImage(engine, wanted.reference));
  if (info === undefined) throw missing(wanted.reference, engine);
  if (wanted.digest !== undefined && !isImage(info, wanted.digest))
    throw mismatch(wanted.reference, wanted.digest, info);
  const digest = wanted.digest ?? pulledDigest ?? ownDigest(info, wanted.reference);
  checkRevision(wanted, info, deps);
  return {
    reference: info.repoDigests.find((entry) => splitReference(entry).digest === digest) ?? info.id,
    id: info.id,
    ...(digest === undefined ? {} : { digest }),
    ...(info.revision === undefined ? {} : { revision: info.revision }),
    entrypoint: info.entrypoint,
    cmd: info.cmd,
    pulled: present === undefined,
  };
}

/** The image as far as it is here and fits. By digest it is only found after a real pull; one that was loaded from a file has a tag alone. */
async function findPresent(engine: Engine, wanted: WantedImage, pull: PullPolicy): Promise<ImageInfo | undefined> {
  const exact = await inspectImage(engine, wanted.reference);
  if (exact !== undefined || wanted.digest === undefined) return exact;
  const tag = tagOf(wanted);
  const tagged = tag === undefined ? undefined : await inspectImage(engine, tag);
  if (tagged === undefined || isImage(tagged, wanted.digest)) return tagged;
  if (pull === "missing" || tag === undefined) return undefined;
  if (tagged.repoDigests.length > 0) throw mismatch(tag, wanted.digest, tagged);
  throw new ActionError(
    "image-digest-unknown",
    `${tag} is here, but it was built or loaded from a file: it has no registry digest that could be compared with ${wanted.digest}, and pull: never forbids to fetch it.`,
    "Set pull: missing, or pull the image by its digest in a step before.",
  );
}

/** The tag that the wanted digest is published under (contract 10: images are tagged with the full commit). */
function tagOf(wanted: WantedImage): string | undefined {
  return wanted.commit?.length === 40 ? `${splitReference(wanted.reference).repository}:${wanted.commit}` : undefined;
}

async function pullWanted(
  engine: Engine,
  wanted: WantedImage,
  pull: PullPolicy,
  deps: Deps,
): Promise<string | undefined> {
  if (pull === "never") throw missing(wanted.reference, engine);
  try {
    return await pullImage(engine, wanted.reference, deps);
  } catch (error) {
    if (error instanceof ActionError && error.code === "image-not-found") await explainNotFound(engine, wanted);
    throw error;
  }
}

/** A registry that has the tag under another digest is a mismatch, which is worth more than "not found". */
async function explainNotFound(engine: Engine, wanted: WantedImage): Promise<void> {
  const tag = tagOf(wanted);
  if (tag === undefined || wanted.digest === undefined) return;
  const path = `/distribution/${tag.split("/").map(encodeURIComponent).join("/")}/json`;
  const answer = await engine.request(`look up ${tag}`, path).catch((error: unknown) => {
    if (error instanceof EngineFault) return undefined;
    throw error;
  });
  const found = textOf(fieldsOf(fieldsOf(answer?.json())["Descriptor"])["digest"]);
  if (found !== undefined && found !== wanted.digest) throw digestError(tag, wanted.digest, found);
}

/** The registry digest to show: of `reference`'s repository if there is one. */
export function ownDigest(info: ImageInfo, reference: string): string | undefined {
  const { repository } = splitReference(reference);
  const entries = info.repoDigests.map(splitReference);
  return (entries.find((entry) => entry.repository === repository) ?? entries[0])?.digest ?? info.descriptor;
}

/** A label that names another commit is a contradiction even under the wanted digest: `version` would report what does not run. */
function checkRevision(wanted: WantedImage, info: ImageInfo, deps: Deps): void {
  const { commit, reference } = wanted;
  if (commit === undefined || info.revision?.startsWith(commit)) return;
  if (info.revision !== undefined) throw revisionMismatch(reference, info.revision, commit);
  if (wanted.digest !== undefined) return;
  deps.log.warning(
    `${reference} has no label org.opencontainers.image.revision; whether it was built from commit ${commit} is not known.`,
  );
}

function revisionMismatch(reference: string, found: string, wanted: string): ActionError {
  return new ActionError(
    "image-revision-mismatch",
    `${reference} was built from commit ${found}, as its label says, not from ${wanted}. Nothing was started.`,
    "Correct version or image: they name different builds.",
  );
}

function missing(reference: string, engine: Engine): ActionError {
  return new ActionError(
    "image-missing",
    `${reference} is not on the Docker engine at ${engine.where}, and pull: never forbids to fetch it.`,
    "Pull or load it in a step before, or set pull: missing.",
  );
}

function mismatch(reference: string, wanted: string, info: ImageInfo): ActionError {
  const [first = info.id] = digestsOf(info);
  return digestError(reference, wanted, first);
}

function digestError(reference: string, wanted: string, found: string): ActionError {
  return new ActionError(
    "image-digest-mismatch",
    `${reference} is ${found}, but ${wanted} is wanted. Nothing was started.`,
    "Find out who replaced that image; name the new digest in version or image only if you trust it.",
  );
}

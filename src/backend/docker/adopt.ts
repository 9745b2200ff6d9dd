import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import type { RunningBackend } from "../backend.ts";
import { type ContainerInfo, execIn, inspectContainer, readLogs } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { type ImageInfo, inspectImage, isImage, ownDigest, type WantedImage } from "./image.ts";
import { judgeOrigins, type OriginFinding } from "./origin-findings.ts";
import { API_PORT, SITE_PORT } from "./origins.ts";
import { findPlace, type Place } from "./place.ts";
import { reachableHost } from "./publish.ts";
import { watch } from "./watch.ts";

/** A backend that the workflow itself declared under `services:`; nothing of it is changed. */
export interface Adopted {
  readonly backend: RunningBackend;
  /** Both from the container's variables, where the workflow gave them. */
  readonly instanceName?: string;
  readonly instanceSecret?: string;
  /** Origins that do not fit, with the lines that mend them. */
  readonly findings: readonly OriginFinding[];
  /**
   * The key from the container's own script. Only once the backend answers: before that the script could store
   * another secret than the one that the backend is about to choose (contract 1.2).
   * @throws ActionError `service-container-key`
   */
  key(): Promise<{ readonly adminKey: string; readonly instanceName: string }>;
}

export interface AdoptOptions {
  /** The user's pin, if any. */
  readonly choice?: WantedImage;
  /** Input `network`. */
  readonly network?: string;
}

/**
 * Takes over a running container by its id.
 * @throws ActionError `service-container-missing`, `service-container-ended`, `service-container-port`, `service-container-network`, `image-digest-mismatch`, `image-digest-unknown`, `image-revision-mismatch`, `job-network`
 */
export async function adoptContainer(engine: Engine, id: string, options: AdoptOptions, deps: Deps): Promise<Adopted> {
  const [info, place] = await Promise.all([inspectContainer(engine, id), findPlace(engine, options.network)]);
  if (info === undefined) throw absent(engine, id);
  if (!info.running) throw await ended(engine, info, deps);
  const image = await inspectImage(engine, info.imageId);
  checkPin(image, info, options.choice);
  const { url, siteUrl } = place.kind === "network" ? urlsOnNetwork(info, place.network) : publishedUrls(info, place);
  const { CONVEX_CLOUD_ORIGIN: cloud, CONVEX_SITE_ORIGIN: site, INSTANCE_NAME, INSTANCE_SECRET } = info.env;
  const known = INSTANCE_NAME && INSTANCE_SECRET;
  const digest =
    options.choice?.digest ?? (image === undefined ? undefined : ownDigest(image, options.choice?.reference ?? ""));
  return {
    backend: {
      url,
      siteUrl,
      cloudOrigin: cloud || url,
      siteOrigin: site || siteUrl,
      containerId: info.id,
      ...(digest === undefined ? {} : { imageDigest: digest }),
      ...(image?.revision === undefined ? {} : { revision: image.revision }),
      ...watch(engine, info.id, deps),
    },
    ...(known ? { instanceName: INSTANCE_NAME, instanceSecret: INSTANCE_SECRET } : {}),
    findings: judgeOrigins({ cloud, site }, { url, siteUrl }),
    key: () => keyOf(engine, info.id),
  };
}

/** The same pin as for a container of ours; without a digest the label is all there is, so it must be there. */
function checkPin(image: ImageInfo | undefined, info: ContainerInfo, choice: WantedImage | undefined): void {
  if (choice === undefined) return;
  const { digest, commit } = choice;
  const runs = `The service container ${info.name} runs`;
  if (digest !== undefined && (image === undefined || !isImage(image, digest))) {
    const found = image === undefined ? undefined : ownDigest(image, choice.reference);
    throw found === undefined
      ? unlikePin(
          "image-digest-unknown",
          `${runs} an image without a registry digest that could be compared with ${digest}.`,
        )
      : unlikePin("image-digest-mismatch", `${runs} ${found}, but ${digest} is wanted.`);
  }
  const revision = image?.revision;
  if (commit === undefined || revision?.startsWith(commit) || (revision === undefined && digest !== undefined)) return;
  const built = revision === undefined ? "an image without a revision label" : `an image built from commit ${revision}`;
  throw unlikePin("image-revision-mismatch", `${runs} ${built}, but ${commit} is wanted.`);
}

function unlikePin(code: string, message: string): ActionError {
  const hint = "Name the pinned image under services:, by its digest, or leave out version and image here.";
  return new ActionError(code, message, hint);
}

function publishedUrls(
  info: ContainerInfo,
  place: Exclude<Place, { kind: "network" }>,
): { url: string; siteUrl: string } {
  const host = reachableHost(place.kind === "remote" ? "0.0.0.0" : "127.0.0.1", place);
  // On the host's network the inner ports are the outer ones.
  const inner = info.networkMode === "host" ? { [`${API_PORT}/tcp`]: API_PORT, [`${SITE_PORT}/tcp`]: SITE_PORT } : {};
  const ports: Readonly<Record<string, number>> = { ...info.ports, ...inner };
  const [port, sitePort] = [ports[`${API_PORT}/tcp`], ports[`${SITE_PORT}/tcp`]];
  if (port === undefined || sitePort === undefined) {
    throw new ActionError(
      "service-container-port",
      `The service container ${info.name} does not publish port ${port === undefined ? API_PORT : SITE_PORT}, so this job cannot reach it.`,
      `Add to the service: ports: ["127.0.0.1:${API_PORT}:${API_PORT}", "127.0.0.1:${SITE_PORT}:${SITE_PORT}"].`,
    );
  }
  return { url: `http://${host}:${port}`, siteUrl: `http://${host}:${sitePort}` };
}

/** On the job's network the runner gives each service the name that it has in the workflow. */
function urlsOnNetwork(info: ContainerInfo, network: string): { url: string; siteUrl: string } {
  const aliases = info.networks[network];
  const alias = aliases?.find((name) => !info.id.startsWith(name)) ?? info.name;
  if (aliases === undefined) {
    throw new ActionError(
      "service-container-network",
      `The service container ${info.name} is not on the network ${network} of this job, so the job cannot reach it.`,
      "Declare it under services: of this very job, or give its network in the input network.",
    );
  }
  return { url: `http://${alias}:${API_PORT}`, siteUrl: `http://${alias}:${SITE_PORT}` };
}

/** Standard output is the key and nothing else (contract 1.2). Workflow engines other than GitHub's set another working directory. */
async function keyOf(engine: Engine, id: string): Promise<{ adminKey: string; instanceName: string }> {
  const result = await execIn(engine, id, ["./generate_admin_key.sh"], { workingDirectory: "/convex" });
  const adminKey = result.stdout.trim();
  const [instanceName = "", ...rest] = adminKey.split("|");
  if (result.exitCode === 0 && rest.length === 1 && !/\s/.test(adminKey)) return { adminKey, instanceName };
  throw new ActionError(
    "service-container-key",
    `The service container does not give out an admin key: ./generate_admin_key.sh ended with exit code ${result.exitCode}.`,
    "Set INSTANCE_NAME and INSTANCE_SECRET in the service's env: (and as inputs), then no script is needed.",
  );
}

function absent(engine: Engine, id: string): ActionError {
  return new ActionError(
    "service-container-missing",
    `service-container: the Docker engine at ${engine.where} has no container "${id}".`,
    "Pass the id of a service of this job: job.services.<name>.id.",
  );
}

async function ended(engine: Engine, info: ContainerInfo, deps: Deps): Promise<ActionError> {
  const lines = await readLogs(engine, info.id, 50).catch(() => []);
  const secret = info.env["INSTANCE_SECRET"];
  if (secret) deps.log.mask(secret);
  deps.log.foreign(lines);
  return new ActionError(
    "service-container-ended",
    `The service container ${info.name} does not run any more; it ended with exit code ${info.exitCode}${info.outOfMemory ? ", out of memory" : ""}. Its last ${lines.length} log lines are above.`,
    "Mend what its log says; the image's entry point needs the working directory /convex.",
  );
}

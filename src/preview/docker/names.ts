import { createHash } from "node:crypto";
import { LABEL, type Labels } from "../../backend/docker/labels.ts";
import { ActionError } from "../../runner/errors.ts";

/** How the things of one preview are called in an engine, and by what they are known as ours. */
export interface Names {
  readonly repository: string;
  readonly preview: string;
  /** Name of the backend's container, and the owner label of everything. */
  readonly id: string;
  readonly data: string;
  readonly network: string;
  container(role: Role): string;
  /** Each `up` makes a new one before it removes the former, so that no moment is without. */
  marker(now: number): string;
}

export type Role = "backend" | "gateway" | "dashboard";

/**
 * Names are unique to repository and preview: eight digits of the repository's hash, then the preview's name, which has
 * no dots, then a part after a dot.
 */
export function namesOf(repository: string, preview: string): Names {
  const hash = createHash("sha256").update(repository.toLowerCase()).digest("hex").slice(0, 8);
  const id = `convex-preview-${hash}-${preview}`;
  return {
    repository: repository.toLowerCase(),
    preview,
    id,
    data: `${id}.data`,
    network: `${id}.net`,
    container: (role) => (role === "backend" ? id : `${id}.${role}`),
    marker: (now) => `${id}.up-${now.toString(36)}`,
  };
}

/** What everything of a preview carries. */
export function ownerLabels({ repository, preview, id }: Names, number: number | undefined): Labels {
  return {
    [LABEL.owner]: id,
    [LABEL.kind]: "preview",
    [LABEL.repository]: repository,
    [LABEL.preview]: preview,
    ...(number === undefined ? {} : { [LABEL.number]: String(number) }),
  };
}

/** Filter for the engine's lists: everything of every preview. */
export const KIND_FILTER = `${LABEL.kind}=preview`;

/** Filters for the engine's lists: everything of a repository, or of one preview of it. */
export function labelFilters(repository: string, preview?: string): string[] {
  return [
    KIND_FILTER,
    `${LABEL.repository}=${repository.toLowerCase()}`,
    ...(preview === undefined ? [] : [`${LABEL.preview}=${preview}`]),
  ];
}

/** Whether all our labels for exactly this preview are there: the engine's filter is not trusted with what is removed. */
export function isOurs(labels: Labels, names: Names): boolean {
  const wanted = ownerLabels(names, undefined);
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

export function nameTaken(what: string, name: string, where: string): ActionError {
  return new ActionError(
    "preview-name-taken",
    `The ${what} ${name} is there on ${where} and does not carry the labels of this preview, so it was left alone.`,
    `Look who made it (docker inspect ${name}) and remove it by hand if nobody needs it.`,
  );
}

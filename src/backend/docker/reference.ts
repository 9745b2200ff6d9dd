import { ActionError } from "../../runner/errors.ts";

/** An image's name taken apart: `[registry/]path[:tag][@sha256:…]`. */
export interface Reference {
  /** Without tag and digest. */
  readonly repository: string;
  /** Host (and port) of the registry; `docker.io` when the name has none. */
  readonly registry: string;
  readonly tag?: string;
  readonly digest?: string;
}

export function splitReference(name: string): Reference {
  const [named = "", digest] = name.split("@", 2);
  const slash = named.lastIndexOf("/");
  const colon = named.indexOf(":", slash + 1);
  const repository = colon < 0 ? named : named.slice(0, colon);
  const first = repository.includes("/") ? (repository.split("/")[0] ?? "") : "";
  return {
    repository,
    registry: /[.:]/.test(first) || first === "localhost" ? first : "docker.io",
    ...(colon < 0 ? {} : { tag: named.slice(colon + 1) }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/**
 * Like `splitReference`, for what a user wrote.
 * @throws ActionError `image-invalid`
 */
export function parseReference(name: string): Reference {
  const reference = splitReference(name);
  // The host may have capitals and a port; the path may not have capitals.
  const valid =
    /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/.test(reference.repository) &&
    (reference.tag === undefined || /^\w[\w.-]{0,127}$/.test(reference.tag));
  if (valid) return reference;
  throw new ActionError(
    "image-invalid",
    `image: ${JSON.stringify(name)} is not an image reference.`,
    "Give a repository (ghcr.io/get-convex/convex-backend or a mirror of it), or a full reference with a digest (<repository>@sha256:<64 hex digits>).",
  );
}

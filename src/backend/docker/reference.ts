/** An image's name taken apart: `[registry/]path[:tag][@sha256:…]`. Whether it is a valid one is the catalogue's business. */
export interface Reference {
  /** Without tag and digest. */
  readonly repository: string;
  /** Host (and port) of the registry; `docker.io` when the name has none. */
  readonly registry: string;
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
    ...(digest === undefined ? {} : { digest }),
  };
}

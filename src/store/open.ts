import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { ArtifactStore } from "./artifact.ts";
import { ArtifactApi } from "./artifact-api.ts";
import { noServer } from "./artifact-errors.ts";
import type { StoreSettings } from "./destination.ts";
import { DirectoryStore } from "./directory.ts";
import { S3Store } from "./s3.ts";
import type { Store } from "./store.ts";

/** What a store needs from the machine. */
export type StoreDeps = Pick<Deps, "log" | "clock" | "env" | "http">;

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function openS3(
  settings: StoreSettings,
  destination: Extract<StoreSettings["destination"], { kind: "s3" }>,
  deps: StoreDeps,
): Store {
  const { endpoint, forcePathStyle } = settings;
  const region = settings.region ?? deps.env["AWS_REGION"] ?? deps.env["AWS_DEFAULT_REGION"];
  if (region === undefined && endpoint === undefined) {
    throw new ActionError(
      "input-missing",
      "s3-region is not set, and neither is the variable AWS_REGION.",
      "Set s3-region to the bucket's region, such as eu-central-1; for a store that is not AWS set s3-endpoint too.",
    );
  }
  for (const name of ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]) {
    const secret = deps.env[name];
    if (secret !== undefined) deps.log.mask(secret);
  }
  if (endpoint !== undefined) {
    const url = new URL(endpoint);
    if (url.protocol === "http:" && !isLoopback(url.hostname)) {
      deps.log.warning(
        `s3-endpoint ${url.origin} is http: whoever is on the way can read and change what is not encrypted. Use https.`,
      );
    }
  }
  return new S3Store(
    {
      bucket: destination.bucket,
      prefix: destination.prefix,
      endpoint,
      region: region ?? "us-east-1",
      forcePathStyle,
    },
    deps,
  );
}

function openArtifacts(prefix: string, token: string | undefined, deps: StoreDeps): Store {
  const server = deps.env["GITHUB_SERVER_URL"];
  if (server !== undefined && URL.canParse(server)) {
    // The rule of @actions/artifact itself.
    const { hostname } = new URL(server);
    if (hostname !== "github.com" && !/\.(ghe\.com|localhost)$/.test(hostname)) throw noServer("artifact");
  }
  const repository = deps.env["GITHUB_REPOSITORY"];
  if (token === undefined || repository === undefined) {
    throw new ActionError(
      "input-missing",
      `${token === undefined ? "github-token" : "The variable GITHUB_REPOSITORY"} is not set; artifacts are listed and read by GitHub's API.`,
      "Leave github-token at its default and give the job permissions: actions: read (write to remove old backups).",
    );
  }
  const place = { apiUrl: deps.env["GITHUB_API_URL"] ?? "https://api.github.com", repository, token };
  return new ArtifactStore(new ArtifactApi(place, deps), prefix, deps);
}

/**
 * Opens what a destination or source names. Nothing is contacted or loaded before the first call on it.
 * @param githubToken for artifacts; masked already
 * @throws ActionError `input-missing`, `store-unsupported` for artifacts on GitHub Enterprise Server
 */
export function openStore(settings: StoreSettings, deps: StoreDeps, githubToken?: string): Store {
  const { destination } = settings;
  switch (destination.kind) {
    case "s3":
      return openS3(settings, destination, deps);
    case "directory":
      return new DirectoryStore(destination.path, deps);
    case "artifact":
      return openArtifacts(destination.prefix, githubToken, deps);
  }
}

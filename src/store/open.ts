import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import type { StoreSettings } from "./destination.ts";
import { DirectoryStore } from "./directory.ts";
import { unsupported } from "./faults.ts";
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

/**
 * Opens what a destination or source names. Nothing is contacted or loaded before the first call on it.
 * @throws ActionError `input-missing`
 */
export function openStore(settings: StoreSettings, deps: StoreDeps): Store {
  const { destination } = settings;
  switch (destination.kind) {
    case "s3":
      return openS3(settings, destination, deps);
    case "directory":
      return new DirectoryStore(destination.path, deps);
    case "artifact":
      throw unsupported("artifact", "be written yet", "Use s3://bucket/prefix or dir:path.");
  }
}

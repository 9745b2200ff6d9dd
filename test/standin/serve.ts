/** Where the process meets the backend: options from flags, and the words for what goes wrong. */
import { Backend, type BackendOptions } from "./backend.ts";
import { readBackendKnobs } from "./backend-knobs.ts";
import { LocalBlobs } from "./blobs.ts";
import type { Booted } from "./boot.ts";
import type { Flags } from "./flags.ts";
import type { Log } from "./log.ts";
import { attachParts } from "./parts.ts";
import type { BindError } from "./server.ts";

/** The backend with all its parts, not yet listening. */
export async function openServed(flags: Flags, env: NodeJS.ProcessEnv, booted: Booted, log: Log): Promise<Backend> {
  const release = env["CONVEX_RELEASE_VERSION_DEV"];
  const backend = await Backend.open({
    instanceName: booted.instanceName,
    instanceSecret: booted.instanceSecret,
    interface: flags.interface,
    port: flags.port,
    sitePort: flags.sitePort,
    cloudOrigin: booted.cloudOrigin,
    siteOrigin: booted.siteOrigin,
    dbFile: booted.dbFile,
    // "S3" is a folder too: boot.ts has chosen it
    ...storageOf(booted),
    tmpDir: booted.tmpDir,
    redactLogs: flags.redactLogs,
    like: flags.like,
    ...(release === undefined ? {} : { releaseVersion: release }),
    ...readBackendKnobs(env, log),
    env,
    log,
  });
  await attachParts(backend);
  return backend;
}

function storageOf({ storageDir, s3Prefix }: Booted): Pick<BackendOptions, "storage" | "blobs"> {
  if (s3Prefix === undefined) return { storage: { kind: "local", dir: storageDir } };
  return { storage: { kind: "s3", prefix: s3Prefix }, blobs: new LocalBlobs(storageDir) };
}

/** `Could not start backend on 127.0.0.1:3210`, and why. */
export function bindTexts(error: BindError): [string, string] {
  const service = error.which === "api" ? "backend" : "backend_http_proxy";
  const code: unknown = error.cause instanceof Error && "code" in error.cause ? error.cause.code : undefined;
  const reasons: Record<string, string> = {
    EADDRINUSE: "Address already in use (os error 98)",
    EADDRNOTAVAIL: "Cannot assign requested address (os error 99)",
    EACCES: "Permission denied (os error 13)",
  };
  return [`Could not start ${service} on ${error.address}`, reasons[String(code)] ?? String(error.cause)];
}

import type { BackendSpec } from "../backend.ts";
import type { Mount } from "./data.ts";
import { backendVariables } from "./environment.ts";
import type { Fields } from "./fields.ts";
import { withForwards } from "./forwarder.ts";
import type { Image } from "./image.ts";
import type { Labels } from "./labels.ts";
import { API_PORT, forwardsFor, type Origins, SITE_PORT } from "./origins.ts";

/** What a container with a backend in it is made of, wherever it runs and however it is reached. */
export function backendConfig(
  spec: Pick<BackendSpec, "instanceName" | "instanceSecret" | "backendEnv" | "postgresUrl" | "mysqlUrl">,
  origins: Pick<Origins, "cloudOrigin" | "siteOrigin">,
  image: Image,
  labels: Labels,
): Fields {
  const entry = withForwards(forwardsFor(origins), image);
  return {
    Image: image.reference,
    Env: Object.entries(backendVariables(spec, origins)).map(([name, value]) => `${name}=${value}`),
    Labels: labels,
    ExposedPorts: { [`${API_PORT}/tcp`]: {}, [`${SITE_PORT}/tcp`]: {} },
    // PID 1 in a container ignores SIGTERM (contract 1.6): whoever stops it by hand must not wait for the kill.
    StopSignal: "SIGINT",
    ...(entry === undefined ? {} : { Entrypoint: entry.entrypoint, Cmd: entry.cmd }),
  };
}

export function hostConfig(mounts: readonly Mount[]): Fields {
  return {
    Mounts: mounts,
    // A service of the job on this machine (a mail catcher, a payment fake) is reached by functions under this name.
    ExtraHosts: ["host.docker.internal:host-gateway"],
    // The engine's default may be one that cannot be read back, or that fills the disk.
    LogConfig: { Type: "json-file", Config: { "max-size": "50m", "max-file": "2" } },
  };
}

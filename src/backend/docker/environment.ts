import type { BackendSpec } from "../backend.ts";
import type { Origins } from "./origins.ts";

/**
 * The container's variables (contract 1.2). Those that the image's scripts read are ours and win over `backendEnv`.
 * The log is kept free of colours, which would end up in error messages.
 */
export function backendVariables(
  spec: Pick<BackendSpec, "instanceName" | "instanceSecret" | "backendEnv" | "postgresUrl" | "mysqlUrl">,
  origins: Pick<Origins, "cloudOrigin" | "siteOrigin">,
): Record<string, string> {
  return {
    NO_COLOR: "1",
    ...beacon(spec.backendEnv),
    INSTANCE_NAME: spec.instanceName,
    INSTANCE_SECRET: spec.instanceSecret,
    CONVEX_CLOUD_ORIGIN: origins.cloudOrigin,
    CONVEX_SITE_ORIGIN: origins.siteOrigin,
    ...(spec.postgresUrl === undefined ? {} : { POSTGRES_URL: spec.postgresUrl }),
    ...(spec.mysqlUrl === undefined ? {} : { MYSQL_URL: spec.mysqlUrl }),
  };
}

/** Any value that is not empty switches the beacon off, `false` too, and an empty one stops the backend (contract 1.2): leaving it out is the only way to switch it on. */
function beacon(given: Readonly<Record<string, string>>): Record<string, string> {
  const { DISABLE_BEACON = "true", ...rest } = given;
  const on = /^(|0|n|no|f|false|off)$/i.test(DISABLE_BEACON);
  return on ? rest : { DISABLE_BEACON, ...rest };
}

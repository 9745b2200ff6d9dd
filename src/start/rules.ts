import { isIPv4 } from "node:net";
import { ActionError } from "../runner/errors.ts";
import type { StartInputs } from "./inputs.ts";

function conflict(message: string, hint: string): ActionError {
  return new ActionError("input-conflict", message, hint);
}

function invalid(name: string, value: string, allowed: string): ActionError {
  return new ActionError("input-invalid", `${name}: ${JSON.stringify(value)} is not accepted.`, `Allowed: ${allowed}.`);
}

function checkRuntime(inputs: StartInputs): void {
  const { runtime, serviceContainer, binaryPath } = inputs;
  if (binaryPath !== undefined && runtime === "docker") {
    throw conflict("binary-path is set, but runtime is docker.", "Set runtime: binary, or leave binary-path out.");
  }
  if (binaryPath !== undefined && inputs.version !== undefined) {
    throw conflict(
      "binary-path and version are both set; an executable that is already there has the version it has.",
      "Leave one of them out.",
    );
  }
  if (serviceContainer !== undefined) {
    const others = (
      [
        ["data", inputs.data],
        ["postgres-url", inputs.postgresUrl],
        ["mysql-url", inputs.mysqlUrl],
        ["cloud-origin", inputs.cloudOrigin],
        ["site-origin", inputs.siteOrigin],
        ["binary-path", binaryPath],
        ["backend-env", inputs.backendEnv.trim() === "" ? undefined : ""],
        ["runtime: binary", runtime === "binary" ? "" : undefined],
      ] as const
    )
      .filter(([, value]) => value !== undefined)
      .map(([name]) => name);
    if (others.length > 0) {
      throw conflict(
        `service-container names a backend that already runs; ${others.join(", ")} cannot change it.`,
        "Set these under services: in the workflow, and leave them out here.",
      );
    }
  }
  if (inputs.dashboard && runtime === "binary") {
    throw conflict("dashboard needs docker, but runtime is binary.", "Set runtime: docker, or leave dashboard out.");
  }
  if (inputs.dashboard && inputs.serviceContainer !== undefined) {
    throw conflict("dashboard and service-container are both set.", "Declare the dashboard under services: too.");
  }
  if (inputs.dashboard && !/@sha256:[0-9a-f]{64}$/.test(inputs.dashboardImage ?? "")) {
    throw new ActionError(
      "dashboard-image-missing",
      "dashboard is true, but no digest of its image is known.",
      "Set dashboard-image: ghcr.io/get-convex/convex-dashboard@sha256:<64 hex digits>.",
    );
  }
}

function checkPlace(inputs: StartInputs): void {
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(inputs.instanceName)) {
    throw invalid("instance-name", inputs.instanceName, "a-z, 0-9 and -, at most 63 characters, no - at either end");
  }
  if (!isIPv4(inputs.bind)) throw invalid("bind", inputs.bind, "an IPv4 address, such as 127.0.0.1 or 0.0.0.0");
  if (inputs.port !== 0 && inputs.port === inputs.sitePort) {
    throw conflict(
      `port and site-port are both ${inputs.port}.`,
      "Give them different numbers, or 0 for any free one.",
    );
  }
  if ((inputs.cloudOrigin === undefined) !== (inputs.siteOrigin === undefined)) {
    throw conflict("Only one of cloud-origin and site-origin is set; the backend takes both or none.", "Set both.");
  }
  if (inputs.postgresUrl !== undefined && inputs.mysqlUrl !== undefined) {
    throw conflict(
      "postgres-url and mysql-url are both set; a backend keeps its data in one of them.",
      "Leave one out.",
    );
  }
  if (inputs.createDatabase && inputs.postgresUrl === undefined && inputs.mysqlUrl === undefined) {
    throw conflict(
      "create-database is true, but neither postgres-url nor mysql-url is set.",
      "Name the server that the database is to be created on, or leave create-database out.",
    );
  }
}

/** @throws ActionError `input-conflict`, `input-invalid` */
export function checkAuth(inputs: Pick<StartInputs, "auth" | "appUrl" | "jwtPrivateKey">): void {
  const { auth, appUrl, jwtPrivateKey } = inputs;
  if (auth === "none" && jwtPrivateKey !== undefined) {
    throw conflict("jwt-private-key is set, but auth is none.", "Set auth: convex-auth, or leave the key out.");
  }
  if (appUrl === undefined) return;
  if (auth === "none") {
    throw conflict(
      "app-url is set, but auth is none, so nothing would use it.",
      "Set auth: convex-auth, or leave it out.",
    );
  }
  // URL parsers drop line breaks; SITE_URL would keep them.
  if (/\s/.test(appUrl) || !URL.canParse(appUrl) || !["http:", "https:"].includes(new URL(appUrl).protocol)) {
    throw invalid("app-url", appUrl, "the web app's URL, such as http://localhost:5173");
  }
}

function checkDeploy(inputs: StartInputs): void {
  checkUrlVariables(inputs.urlVariables);
  if (inputs.paused && inputs.run.length > 0) {
    throw conflict(
      "run is set, but the deployment stays paused, and a paused deployment runs no functions.",
      "Leave one of them out.",
    );
  }
}

/** @throws ActionError `input-invalid` */
export function checkUrlVariables(names: readonly string[]): void {
  for (const name of names) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw invalid("url-variables", name, "names of environment variables, such as VITE_CONVEX_URL");
    }
    if (/^(GITHUB_|RUNNER_|ACTIONS_|LD_|DYLD_)|^(NODE_OPTIONS|PATH|HOME|CI)$/.test(name)) {
      throw invalid("url-variables", name, "names that the runner and the system do not use themselves");
    }
    if (/^CONVEX_(SELF_HOSTED_|SITE_URL$|DEPLOY)/.test(name)) {
      throw invalid("url-variables", name, "names that export-env does not set already");
    }
  }
}

/**
 * Judges how inputs go together, before anything is started. Pure.
 * @throws ActionError `input-conflict`, `input-invalid`
 */
export function checkStartInputs(inputs: StartInputs): void {
  checkRuntime(inputs);
  checkPlace(inputs);
  checkAuth(inputs);
  checkDeploy(inputs);
}

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ActionError } from "../../runner/errors.ts";
import { type Fields, fieldsOf, textOf } from "./fields.ts";

/**
 * Where the Docker engine is: `unix:///path`, `npipe:////./pipe/name` or `tcp://host:port`, for TLS with
 * `#<folder of ca.pem, cert.pem, key.pem>`. A text, so that it can travel to the post step.
 */
export type EngineAddress = string;

export type Environment = Readonly<Record<string, string | undefined>>;

/** How to reach an engine with `Http`. */
export interface EngineTransport {
  readonly base: string;
  readonly socketPath?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Host of a `tcp://` engine. */
  readonly host?: string;
}

export function dockerConfigFolder(env: Environment): string {
  return env["DOCKER_CONFIG"] || join(env["HOME"] || env["USERPROFILE"] || homedir(), ".docker");
}

/** Docker's config.json; empty when there is none. */
export function dockerConfig(env: Environment): Fields {
  return readJson(join(dockerConfigFolder(env), "config.json"));
}

/** The engine that the `docker` command would use, by the same rules: DOCKER_HOST, DOCKER_CONTEXT, the chosen context, the platform's default. */
export function findEngine(env: Environment, platform: NodeJS.Platform): EngineAddress {
  const folder = dockerConfigFolder(env);
  const host = env["DOCKER_HOST"];
  if (host) {
    const secure = Boolean(env["DOCKER_TLS_VERIFY"] || env["DOCKER_TLS"]);
    return secure ? `${host}#${env["DOCKER_CERT_PATH"] || folder}` : host;
  }
  const context = env["DOCKER_CONTEXT"] || textOf(dockerConfig(env)["currentContext"]) || "default";
  if (context !== "default") return contextEngine(folder, context);
  return platform === "win32" ? "npipe:////./pipe/docker_engine" : "unix:///var/run/docker.sock";
}

/** Contexts lie in folders named by the SHA-256 of their name (docker/cli, "context store"). */
function contextEngine(folder: string, context: string): EngineAddress {
  const id = createHash("sha256").update(context).digest("hex");
  const meta = readJson(join(folder, "contexts", "meta", id, "meta.json"));
  const host = textOf(fieldsOf(fieldsOf(meta["Endpoints"])["docker"])["Host"]);
  if (host === undefined) {
    throw new ActionError(
      "engine-context",
      `The Docker context "${context}" is chosen, but ${folder} does not say where its engine is.`,
      "Choose another with `docker context use`, or set DOCKER_HOST.",
    );
  }
  const tls = join(folder, "contexts", "tls", id, "docker");
  return existsSync(tls) ? `${host}#${tls}` : host;
}

/** @throws ActionError `engine-address` when it is none that can be used here */
export function transportOf(address: EngineAddress): EngineTransport {
  const [where = "", tls] = address.split("#", 2);
  const [, scheme, rest = ""] = /^(unix|npipe|tcp|https?):\/\/(.+)$/.exec(where) ?? [];
  if (scheme === "unix" || scheme === "npipe") {
    return { base: "http://docker", socketPath: scheme === "npipe" ? rest.replaceAll("/", "\\") : rest };
  }
  const url = scheme === undefined ? null : URL.parse(`http://${rest}`);
  if (url === null) throw unusable(where);
  const secure = tls !== undefined || scheme === "https";
  const port = url.port || (scheme === "tcp" ? (secure ? "2376" : "2375") : "");
  const base = `${secure ? "https" : "http"}://${url.hostname}${port === "" ? "" : `:${port}`}`;
  return { base, host: url.hostname, ...(tls === undefined ? {} : { tls: certificates(tls) }) };
}

function unusable(where: string): ActionError {
  return where.startsWith("ssh://")
    ? new ActionError(
        "engine-address",
        `The Docker engine is given as ${where}: an engine behind SSH cannot be used to start a backend in this job, because the job could not reach its ports.`,
        "Unset DOCKER_HOST and DOCKER_CONTEXT for this step to use the local engine, or set runtime: binary.",
      )
    : new ActionError(
        "engine-address",
        `The Docker engine is given as "${where}", which is no unix://, npipe:// or tcp:// address.`,
        "Correct DOCKER_HOST (for example unix:///var/run/docker.sock), or unset it.",
      );
}

function certificates(folder: string): { ca?: string; cert?: string; key?: string } {
  const pem = (name: string): string | undefined => {
    const file = join(folder, name);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  };
  const [ca, cert, key] = [pem("ca.pem"), pem("cert.pem"), pem("key.pem")];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function readJson(file: string): Fields {
  try {
    return fieldsOf(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return {};
  }
}

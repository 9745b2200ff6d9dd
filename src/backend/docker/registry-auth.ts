import { messageOf } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { dockerConfig } from "./address.ts";
import { type Fields, fieldsOf, textOf } from "./fields.ts";

/** Under what Docker stores the credentials of its own registry. */
const DOCKER_HUB = "https://index.docker.io/v1/";

interface Credentials {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

/**
 * The header `X-Registry-Auth` for a registry, from what `docker login` left behind: a credential helper or the file
 * itself. Undefined: none stored, the pull goes without.
 */
export async function registryAuth(deps: Deps, registry: string): Promise<string | undefined> {
  const config = dockerConfig(deps.env);
  const key = registry === "docker.io" ? DOCKER_HUB : registry;
  const helper = textOf(fieldsOf(config["credHelpers"])[key]) ?? textOf(config["credsStore"]);
  const found = (helper === undefined ? undefined : await fromHelper(deps, helper, key)) ?? fromFile(config, registry);
  if (found === undefined) return undefined;
  for (const secret of [found.password, found.identitytoken]) if (secret !== undefined) deps.log.mask(secret);
  return Buffer.from(JSON.stringify({ ...found, serveraddress: key })).toString("base64url");
}

/** The protocol of docker-credential-helpers: `get`, the server on standard input, JSON on standard output. */
async function fromHelper(deps: Deps, helper: string, server: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  try {
    const result = await deps.exec.run(program, ["get"], { input: server, timeoutMs: 30_000 });
    if (result.exitCode !== 0) {
      deps.log.debug(`${program} has no credentials for ${server} (exit code ${result.exitCode})`);
      return undefined;
    }
    const answer = fieldsOf(JSON.parse(result.stdout));
    const [username, secret] = [textOf(answer["Username"]), textOf(answer["Secret"])];
    if (secret === undefined) return undefined;
    return username === "<token>" ? { identitytoken: secret } : { username: username ?? "", password: secret };
  } catch (error) {
    deps.log.warning(
      `${program}, named in Docker's config.json, could not be used (${reasonOf(error)}); pulling without it.`,
    );
    return undefined;
  }
}

/** A JSON error would quote what it could not read, and that is a secret here. */
function reasonOf(error: unknown): string {
  return error instanceof SyntaxError ? "its answer is no JSON" : messageOf(error);
}

function fromFile(config: Fields, registry: string): Credentials | undefined {
  for (const [server, value] of Object.entries(fieldsOf(config["auths"]))) {
    if (hostOf(server) !== (registry === "docker.io" ? hostOf(DOCKER_HUB) : registry)) continue;
    const entry = fieldsOf(value);
    const identitytoken = textOf(entry["identitytoken"]);
    if (identitytoken !== undefined) return { identitytoken };
    const [username, ...password] = Buffer.from(textOf(entry["auth"]) ?? "", "base64")
      .toString("utf8")
      .split(":");
    if (username !== undefined && password.length > 0) return { username, password: password.join(":") };
  }
  return undefined;
}

function hostOf(server: string): string {
  return server.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

import { ActionError } from "../runner/errors.ts";
import { publicHost, refused, whyNoLabel } from "./host.ts";
import type { PlatformInputs } from "./inputs.ts";
import type { Settings } from "./settings.ts";

/** The two addresses that a backend gives out, and the name of its app where the platform has one. */
export interface Origins {
  /** Never with a path: the CLI drops it for some calls. */
  readonly cloud: string;
  /** With the path `/http` where one public port is all there is: the API's port serves HTTP actions below it. */
  readonly site: string;
  readonly app?: string;
}

export type Names = Pick<PlatformInputs, "platform" | "app" | "domain" | "siteDomain" | "workspace">;

const PATH = "/http";
const HTTPS = "https://";
/** Slugs of the two apps of a Coder workspace. */
const CODER_SLUGS = { cloud: "convex", site: "convex-site" };

function conflict(names: Names, input: string, why: string): ActionError {
  return new ActionError(
    "input-conflict",
    `${input} has no meaning with platform: ${names.platform}: ${why}.`,
    `Leave ${input} out.`,
  );
}

function missing(input: string, what: string): ActionError {
  const line = input === "domain" ? ", or the line CONVEX_CLOUD_ORIGIN=https://… of connection" : "";
  return new ActionError("input-missing", `${input} is not set: ${what}.`, `Set ${input}${line}.`);
}

function byDomain(cloud: string, siteDomain: string | undefined): Origins {
  const site = siteDomain === undefined ? `${cloud}${PATH}` : publicHost("site-domain", siteDomain);
  if (site === cloud) {
    throw refused(
      "site-domain",
      site,
      "the API has that name already",
      "Leave it out where HTTP actions are served below /http of the API's name.",
    );
  }
  return { cloud: `https://${cloud}`, site: `https://${site}` };
}

const OF_FLY = ".fly.dev";

/** Fly's names are unique among all its users, so the default has the owner in it; an address of Fly's has the app's. */
function flyApp(app: string | undefined, host: string | undefined, repository: string): string {
  const named = host?.endsWith(OF_FLY) === true ? host.slice(0, -OF_FLY.length) : undefined;
  if (app !== undefined && named !== undefined && app !== named) {
    throw new ActionError(
      "input-conflict",
      `app and domain name different apps of Fly: ${JSON.stringify(app)} and ${JSON.stringify(named)}.`,
      "Leave one of them out; in the template they are the variable FLY_APP and the line CONVEX_CLOUD_ORIGIN of CONVEX_CONNECTION.",
    );
  }
  if (app === undefined && named === undefined && host !== undefined) {
    throw new ActionError(
      "input-missing",
      `app is not set, and ${host} is a domain of your own, which does not tell the app's name: another app, an empty one, would be made.`,
      "Set app to the name of the app that it leads to; in the template the variable FLY_APP.",
    );
  }
  const name = app ?? named ?? `${repository.toLowerCase().replace("/", "-")}-convex`;
  const why = whyNoLabel(name);
  if (why === undefined) return name;
  const hint = "Name an app of small letters, digits and hyphens, such as acme-convex.";
  if (app !== undefined) throw refused("app", app, why, hint);
  throw new ActionError("input-missing", `app is not set, and the name of ${repository} makes none: ${why}.`, hint);
}

const isWord = (part: string): boolean => /^[a-z0-9]+(-[a-z0-9]+)*$/i.test(part);

/** The addresses of the two apps, of what stands behind their slugs. */
function coderApps(input: string, hostOf: (slug: string) => string, hint: string): Origins {
  const originOf = (slug: string): string => {
    const host = hostOf(slug).toLowerCase();
    const why = whyNoLabel(host.split(".")[0] ?? "");
    if (why !== undefined) throw refused(input, host, why, hint);
    return `https://${publicHost("domain", host)}`;
  };
  return { cloud: originOf(CODER_SLUGS.cloud), site: originOf(CODER_SLUGS.site) };
}

/** The API's own address: what stands behind its slug stands behind the other one, too. */
function coderByApp(names: Names, domain: string): Origins {
  if (names.workspace !== undefined) {
    throw new ActionError(
      "input-conflict",
      "workspace is set, and domain has no * at its start for it: it is the address of an app already.",
      "Leave workspace out, or write Coder's wildcard access URL, such as *.coder.example.com, in domain.",
    );
  }
  const host = publicHost("domain", domain);
  const [slug = "", ...parts] = (host.split(".")[0] ?? "").split("--");
  if (slug !== CODER_SLUGS.cloud || parts.length < 2 || !parts.every(isWord)) {
    throw refused(
      "domain",
      domain,
      "it is neither the address of the app convex in a workspace nor a wildcard",
      "Write convex--<workspace>--<owner>.coder.example.com, or Coder's wildcard access URL, such as *.coder.example.com, and workspace.",
    );
  }
  const rest = host.slice(slug.length);
  return coderApps("domain", (one) => `${one}${rest}`, "Use a workspace with a shorter name.");
}

/**
 * Coder leads `<slug>--<workspace>--<owner>` below its wildcard to an app of a workspace; older ones have the agent's
 * name in it too (coder/coder, coderd/workspaceapps/appurl/appurl.go).
 */
function coder(names: Names, domain: string): Origins {
  if (!domain.startsWith("*")) return coderByApp(names, domain);
  const { workspace } = names;
  if (workspace === undefined) throw missing("workspace", "it is owner/workspace, such as alice/dev");
  const [, owner = "", name = "", agent] = /^([^/]+)\/([^/.]+)(?:\.([^/.]+))?$/.exec(workspace) ?? [];
  const parts = agent === undefined ? [name, owner] : [agent, name, owner];
  if (!parts.every(isWord)) {
    throw refused(
      "workspace",
      workspace,
      "it is no owner and workspace, of letters, digits and single hyphens",
      "Write owner/workspace, or owner/workspace.agent, as `coder list` shows it.",
    );
  }
  const hostOf = (slug: string): string => domain.replace("*", [slug, ...parts].join("--"));
  return coderApps("workspace", hostOf, "Use a workspace with a shorter name.");
}

/** The same names, with the hosts of a connection where no input of their own names them. */
export function withSettings(names: Names, settings: Settings | undefined): Names {
  const { cloudOrigin, siteOrigin } = settings ?? {};
  const domain = names.domain ?? cloudOrigin?.slice(HTTPS.length);
  // Coder's second name follows from the first, as a path of the API does.
  const derived = names.platform === "coder" || siteOrigin?.endsWith(PATH) === true;
  return { ...names, domain, siteDomain: names.siteDomain ?? (derived ? undefined : siteOrigin?.slice(HTTPS.length)) };
}

/** @throws ActionError `input-conflict` where the connection names other origins than those that were worked out */
export function checkAgreement(origins: Origins, settings: Settings): void {
  const lines = [
    ["CONVEX_CLOUD_ORIGIN", settings.cloudOrigin, origins.cloud],
    ["CONVEX_SITE_ORIGIN", settings.siteOrigin, origins.site],
  ] as const;
  for (const [name, said, found] of lines) {
    if (said === undefined || said === found) continue;
    throw new ActionError(
      "input-conflict",
      `${name} in connection is ${said}, and what the platform and the other inputs name is ${found}.`,
      "Correct the line, or leave it out where the platform gives the address.",
    );
  }
}

/**
 * Works out the two origins from the names that a platform has for things. Undefined for a server that none is given of.
 * @param repository `owner/name`
 * @throws ActionError `input-invalid`, `input-missing`, `input-conflict`
 */
export function originsOn(names: Names, repository: string): Origins | undefined {
  const { platform, app, domain, siteDomain, workspace } = names;
  if (app !== undefined && platform !== "fly") throw conflict(names, "app", "it is Fly's");
  if (workspace !== undefined && platform !== "coder") throw conflict(names, "workspace", "it is Coder's");
  switch (platform) {
    case "fly": {
      const host = domain === undefined ? undefined : publicHost("domain", domain);
      const name = flyApp(app, host, repository);
      return { ...byDomain(host ?? `${name}${OF_FLY}`, siteDomain), app: name };
    }
    case "coder":
      if (siteDomain !== undefined) throw conflict(names, "site-domain", "Coder makes both names from domain");
      if (domain === undefined)
        throw missing(
          "domain",
          "it is the address of the app convex in a workspace, or Coder's wildcard access URL, such as *.coder.example.com",
        );
      return coder(names, domain);
    default:
      if (domain !== undefined) return byDomain(publicHost("domain", domain), siteDomain);
      if (siteDomain !== undefined) throw missing("domain", "site-domain alone names no API");
      if (platform === "server") return undefined;
      throw missing("domain", "it is the public host name that leads to port 3210");
  }
}

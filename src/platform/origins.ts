import { ActionError } from "../runner/errors.ts";
import { publicHost, refused, whyNoLabel } from "./host.ts";
import type { PlatformInputs } from "./inputs.ts";

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
  return new ActionError("input-missing", `${input} is not set: ${what}.`, `Set ${input}.`);
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

/** Fly's names are unique among all its users, so the default has the owner in it. */
function flyApp(app: string | undefined, repository: string): string {
  const name = app ?? `${repository.toLowerCase().replace("/", "-")}-convex`;
  const why = whyNoLabel(name);
  if (why === undefined) return name;
  const hint = "Name an app of small letters, digits and hyphens, such as acme-convex.";
  if (app !== undefined) throw refused("app", app, why, hint);
  throw new ActionError("input-missing", `app is not set, and the name of ${repository} makes none: ${why}.`, hint);
}

/**
 * Coder leads `<slug>--<workspace>--<owner>` below its wildcard to an app of a workspace; older ones have the agent's
 * name in it too (coder/coder, coderd/workspaceapps/appurl/appurl.go).
 */
function coder(domain: string, workspace: string): Origins {
  if (!domain.startsWith("*")) {
    throw refused(
      "domain",
      domain,
      "it has no * at its start",
      "Write Coder's wildcard access URL, such as *.coder.example.com.",
    );
  }
  const [, owner = "", name = "", agent] = /^([^/]+)\/([^/.]+)(?:\.([^/.]+))?$/.exec(workspace) ?? [];
  const parts = agent === undefined ? [name, owner] : [agent, name, owner];
  const hint = "Write owner/workspace, or owner/workspace.agent, as `coder list` shows it.";
  if (!parts.every((part) => /^[a-z0-9]+(-[a-z0-9]+)*$/i.test(part))) {
    throw refused("workspace", workspace, "it is no owner and workspace, of letters, digits and single hyphens", hint);
  }
  const originOf = (slug: string): string => {
    const host = domain.replace("*", [slug, ...parts].join("--")).toLowerCase();
    const why = whyNoLabel(host.split(".")[0] ?? "");
    if (why !== undefined) throw refused("workspace", workspace, why, "Use a workspace with a shorter name.");
    return `https://${publicHost("domain", host)}`;
  };
  return { cloud: originOf(CODER_SLUGS.cloud), site: originOf(CODER_SLUGS.site) };
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
      const name = flyApp(app, repository);
      const cloud = domain === undefined ? `${name}.fly.dev` : publicHost("domain", domain);
      return { ...byDomain(cloud, siteDomain), app: name };
    }
    case "coder":
      if (siteDomain !== undefined) throw conflict(names, "site-domain", "Coder makes both names from domain");
      if (domain === undefined)
        throw missing("domain", "it is Coder's wildcard access URL, such as *.coder.example.com");
      if (workspace === undefined) throw missing("workspace", "it is owner/workspace, such as alice/dev");
      return coder(domain, workspace);
    default:
      if (domain !== undefined) return byDomain(publicHost("domain", domain), siteDomain);
      if (siteDomain !== undefined) throw missing("domain", "site-domain alone names no API");
      if (platform === "server") return undefined;
      throw missing("domain", "it is the public host name that leads to port 3210");
  }
}

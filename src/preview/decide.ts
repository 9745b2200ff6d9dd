import { readFileSync } from "node:fs";
import type { Environment } from "../backend/docker/address.ts";
import { ActionError } from "../runner/errors.ts";
import { type PreviewEvent, readPreviewEvent } from "./event.ts";
import type { PreviewInputs } from "./inputs.ts";
import { checkApart, parseTemplate } from "./names.ts";
import type { PlanRun, PreviewPolicy } from "./plan.ts";

/**
 * What the inputs say about which previews there are.
 * @throws ActionError `input-invalid`
 */
export function policyOf(inputs: PreviewInputs, command: Exclude<PreviewInputs["command"], "bundle">): PreviewPolicy {
  const { name, label, drafts, forkLabel } = inputs;
  const domain = inputs.domain === undefined ? undefined : parseTemplate("domain", inputs.domain);
  const siteDomain = inputs.siteDomain === undefined ? undefined : parseTemplate("site-domain", inputs.siteDomain);
  if (domain !== undefined && siteDomain !== undefined) checkApart(domain, siteDomain, inputs.siteDomain ?? "");
  return {
    command,
    drafts,
    ...(name === undefined ? {} : { name }),
    ...(domain === undefined ? {} : { domain }),
    ...(siteDomain === undefined ? {} : { siteDomain }),
    ...(label === undefined ? {} : { label }),
    ...(forkLabel === undefined ? {} : { forkLabel }),
  };
}

/**
 * What this run was started by.
 * @throws ActionError `event-invalid`
 */
export function eventOf(env: Environment): PreviewEvent {
  const path = env["GITHUB_EVENT_PATH"];
  let payload: unknown;
  try {
    payload = path ? JSON.parse(readFileSync(path, "utf8")) : {};
  } catch (error) {
    throw new ActionError(
      "event-invalid",
      `The file of this run's event, ${path}, cannot be read.`,
      "Run it on GitHub, or give the local runner a whole event with -e event.json.",
      { cause: error },
    );
  }
  const run = { refName: env["GITHUB_REF_NAME"] ?? "", commit: env["GITHUB_SHA"] ?? "" };
  return readPreviewEvent(env["GITHUB_EVENT_NAME"] ?? "", payload, run);
}

export function runOf(env: Environment): PlanRun {
  return { repository: env["GITHUB_REPOSITORY"] ?? "", actor: env["GITHUB_ACTOR"] ?? "" };
}

/** The page of this run; undefined outside of GitHub. */
export function runUrl(env: Environment): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  return server && repository && id ? `${server}/${repository}/actions/runs/${id}` : undefined;
}

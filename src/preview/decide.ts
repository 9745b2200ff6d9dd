import type { Environment } from "../backend/docker/address.ts";
import { ActionError } from "../runner/errors.ts";
import { eventOf } from "../runner/event.ts";
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
 * What this run was started by, as far as previews are concerned.
 * @throws ActionError `event-invalid`
 */
export function previewEventOf(env: Environment): PreviewEvent {
  const { name, payload } = eventOf(env);
  if (payload === undefined && env["GITHUB_EVENT_PATH"]) {
    throw new ActionError(
      "event-invalid",
      `The file of this run's event, ${env["GITHUB_EVENT_PATH"]}, cannot be read.`,
      "Run it on GitHub, or give the local runner a whole event with -e event.json.",
    );
  }
  const run = { refName: env["GITHUB_REF_NAME"] ?? "", commit: env["GITHUB_SHA"] ?? "" };
  return readPreviewEvent(name, payload ?? {}, run);
}

export function runOf(env: Environment): PlanRun {
  return { repository: env["GITHUB_REPOSITORY"] ?? "", actor: env["GITHUB_ACTOR"] ?? "" };
}

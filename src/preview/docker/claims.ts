import type { ContainerEntry } from "../../backend/docker/containers.ts";
import { LABEL } from "../../backend/docker/labels.ts";
import { ActionError } from "../../runner/errors.ts";
import type { PreviewSpec } from "../target.ts";
import { describe, type Found, isEmpty } from "./found.ts";

/**
 * Refuses to take what another preview has: its data, where two pull requests chose one name, or its host names, where
 * two repositories share a domain. Pure.
 * @throws ActionError `preview-shared`, `preview-host-taken`
 */
export function checkClaims(spec: PreviewSpec, found: Found, others: readonly ContainerEntry[], where: string): void {
  checkOwner(spec, found, where);
  checkHosts(spec, others, where);
}

function checkOwner({ name, number, repository }: PreviewSpec, found: Found, where: string): void {
  if (isEmpty(found)) return;
  const owner = describe(repository, found).number;
  if (owner === number) return;
  const whose = owner === undefined ? "a branch" : `pull request ${owner}`;
  const ours = number === undefined ? "a branch" : `pull request ${number}`;
  throw new ActionError(
    "preview-shared",
    `Preview ${name} on ${where} is that of ${whose}, and this run is for ${ours}: both would get the same data. It was left as it is.`,
    `Give each a name of its own (name: pr-\${{ github.event.number }}-…, or leave name out). Where the former is not needed any more, remove it by hand: command: down with name: ${name}.`,
  );
}

function checkHosts({ name, origins, dashboardOrigin }: PreviewSpec, others: readonly ContainerEntry[], where: string) {
  // Where free ports decide, the engine knows which are taken.
  if (origins === undefined) return;
  const wanted = new Set([origins.cloud, origins.site, ...(dashboardOrigin === undefined ? [] : [dashboardOrigin])]);
  for (const { name: container, labels } of others) {
    const taken = [labels[LABEL.cloudOrigin], labels[LABEL.siteOrigin]].find(
      (origin) => origin !== undefined && wanted.has(origin),
    );
    if (taken === undefined) continue;
    // The other repository is not named: this text may be read by people who must not know of it.
    throw new ActionError(
      "preview-host-taken",
      `${new URL(taken).hostname} leads to another preview on ${where}, that of the container ${container}; two cannot answer at one name. Preview ${name} was left as it is.`,
      'Make domain tell them apart: with {owner} and {repo} where repositories share a host ("{name}-{repo}.preview.example.com"), with {name} where one pull request has several previews.',
    );
  }
}

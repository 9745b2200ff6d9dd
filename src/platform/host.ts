import { ActionError } from "../runner/errors.ts";

/** DNS: between two dots, and in all (RFC 1035, 2.3.4). */
const LONGEST_LABEL = 63;
const LONGEST_HOST = 253;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

export function refused(input: string, value: string, why: string, hint: string): ActionError {
  return new ActionError("input-invalid", `${input}: ${JSON.stringify(value)} is not accepted: ${why}.`, hint);
}

/** Why DNS does not take it between two dots; undefined: it does. */
export function whyNoLabel(label: string): string | undefined {
  if (label.length > LONGEST_LABEL) {
    return `${JSON.stringify(label)} has ${label.length} characters, and DNS takes ${LONGEST_LABEL} between dots`;
  }
  return LABEL.test(label) ? undefined : `${JSON.stringify(label)} cannot stand between dots in a host name`;
}

const HOST_HINT = "Write a host name, such as api.example.com, without https://, port and path.";

/**
 * A host name that a browser somewhere else can reach, in small letters.
 * @throws ActionError `input-invalid`
 */
export function publicHost(input: string, value: string, hint = HOST_HINT): string {
  const host = value.toLowerCase();
  if (/^https?:\/\//.test(host)) throw refused(input, value, "it is a URL", hint);
  if (/[:/]/.test(host)) throw refused(input, value, "it has a port or a path", hint);
  const labels = host.split(".");
  if (/(^|\.)localhost$/.test(host) || /^[\d.]+$/.test(host)) {
    throw refused(input, value, "clients elsewhere cannot reach it, or not with a certificate", hint);
  }
  if (labels.length < 2) throw refused(input, value, "it has no dot", hint);
  const why = labels.map(whyNoLabel).find((one) => one !== undefined);
  if (why !== undefined) throw refused(input, value, why, hint);
  if (host.length > LONGEST_HOST) throw refused(input, value, `DNS takes ${LONGEST_HOST} characters`, hint);
  return host;
}

import { isIPv4 } from "node:net";
import { checkPatterns } from "../deploy/env-plan.ts";
import { ActionError } from "../runner/errors.ts";
import { checkAuth, checkUrlVariables } from "../start/rules.ts";
import { checkPreviewSecret, secretOf } from "./credentials.ts";
import type { PreviewInputs } from "./inputs.ts";
import type { PreviewPlan } from "./plan-types.ts";

function conflict(message: string, hint: string): ActionError {
  return new ActionError("input-conflict", message, hint);
}

function missing(message: string, hint: string): ActionError {
  return new ActionError("input-missing", message, hint);
}

function invalid(name: string, value: string, allowed: string): ActionError {
  return new ActionError("input-invalid", `${name}: ${JSON.stringify(value)} is not accepted.`, `Allowed: ${allowed}.`);
}

/** Runs of forks and Dependabot have these inputs, and they are empty. */
const NO_SECRETS = "Runs of forks and Dependabot get no secrets: docs/previews.md shows what is done for them.";

function checkHost({ host, sshKey, knownHosts }: PreviewInputs): void {
  if (host === undefined && sshKey !== undefined) {
    throw missing(
      "ssh-key is set, but host is not, and known-hosts does not name one server.",
      "Set known-hosts from a variable that holds what `ssh-keyscan <host>` prints for the one server; or host, such as ssh://deploy@preview.example.com. For the engine of this job leave ssh-key out.",
    );
  }
  // Else the engine of this job would be taken without a word.
  if (host === undefined && sshKey === undefined && knownHosts.trim() !== "") {
    throw missing(
      "known-hosts is set, but ssh-key is empty, so nothing opens that host.",
      `Set ssh-key from a secret. For the engine of this job leave known-hosts out. ${NO_SECRETS}`,
    );
  }
  if (host?.startsWith("ssh://") === true) {
    if (sshKey === undefined) {
      throw missing("host is an ssh:// address, but ssh-key is empty.", `Set ssh-key from a secret. ${NO_SECRETS}`);
    }
    if (knownHosts.trim() === "") {
      throw missing(
        "host is an ssh:// address, but known-hosts is empty, so any server could pretend to be it.",
        "Put what `ssh-keyscan <host>` prints into a variable, after comparing it with the server's own keys, and set known-hosts from it.",
      );
    }
  }
}

function checkEntrance(inputs: PreviewInputs): void {
  const { proxy, domain, siteDomain, proxyNetwork, certResolver, bind } = inputs;
  if (proxy === "none") {
    const useless = Object.entries({ domain, "site-domain": siteDomain, "proxy-network": proxyNetwork })
      .filter(([, value]) => value !== undefined)
      .map(([name]) => name);
    if (useless.length > 0) {
      throw conflict(
        `${useless.join(", ")} is set, but proxy is none, so the preview is reached at ports of the host.`,
        "Set proxy: traefik or caddy, or leave it out.",
      );
    }
  } else if (bind !== undefined) {
    throw conflict("bind is set, but a proxy is used, so no ports are published.", "Set proxy: none, or leave it out.");
  }
  if (certResolver !== undefined && proxy !== "traefik") {
    throw conflict(`cert-resolver is Traefik's, but proxy is ${proxy}.`, "Leave it out, or set proxy: traefik.");
  }
  if (bind !== undefined && !isIPv4(bind)) throw invalid("bind", bind, "an IPv4 address, such as 127.0.0.1 or 0.0.0.0");
}

function checkSecret(inputs: PreviewInputs): void {
  if (inputs.previewSecret !== undefined) checkPreviewSecret(inputs.previewSecret);
  else if (secretOf(inputs) === undefined) {
    throw missing(
      "preview-secret is empty, and the host is not reached by an ssh-key; every preview's credentials are derived from one of them.",
      `Make one with \`openssl rand -hex 32\` and set it from a secret. ${NO_SECRETS}`,
    );
  }
}

function checkDomain({ proxy, domain }: PreviewInputs): void {
  if (proxy !== "none" && domain === undefined) {
    throw missing(
      `proxy is ${proxy}, but domain is not set.`,
      'Set domain, such as "{name}.preview.example.com", whose wildcard DNS name leads to the host; or proxy: none. An ssh:// host with a name needs no domain.',
    );
  }
}

function checkUp(inputs: PreviewInputs): void {
  if (inputs.memory !== undefined && inputs.memory < 128 * 1024 ** 2) {
    throw invalid("memory", `${Math.round(inputs.memory / 1024 ** 2)}m`, "128m or more; a backend needs some 200m");
  }
  if (inputs.dashboard && !/@sha256:[0-9a-f]{64}$/.test(inputs.dashboardImage ?? "")) {
    throw new ActionError(
      "dashboard-image-missing",
      "dashboard is true, but no digest of its image is known.",
      "Set dashboard-image: ghcr.io/get-convex/convex-dashboard@sha256:<64 hex digits>.",
    );
  }
  if (inputs.forkEnv.trim() !== "" && inputs.forkLabel === undefined) {
    throw conflict(
      "fork-env is set, but fork-label is not, so no fork has a preview.",
      "Set fork-label, or leave it out.",
    );
  }
}

/**
 * Judges how inputs go together, before anything is called. Pure. What is missing is judged by `checkNeeds`.
 * @throws ActionError `input-conflict`, `input-invalid`, `dashboard-image-missing`
 */
export function checkPreviewInputs(inputs: PreviewInputs): void {
  if (inputs.command === "bundle") return;
  checkEntrance(inputs);
  checkAuth(inputs);
  checkUrlVariables(inputs.urlVariables);
  checkPatterns(inputs.envKeep);
  if (inputs.command === "up") checkUp(inputs);
}

/**
 * Judges whether what the plan needs is there. Runs of forks and Dependabot have neither secrets nor variables, and are
 * skipped: nothing is missing for that.
 * @throws ActionError `input-missing`, `preview-secret-weak`, `ssh-key-invalid`
 */
export function checkNeeds(inputs: PreviewInputs, action: PreviewPlan["action"]): void {
  if (action === "skip") return;
  checkHost(inputs);
  if (action !== "up") return;
  checkDomain(inputs);
  checkSecret(inputs);
}

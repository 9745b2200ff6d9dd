import { ActionError } from "../../runner/errors.ts";
import { splitReference } from "./reference.ts";

interface Kind {
  readonly code: string;
  /** The engine passes the registry's answer on as text only; the patterns cover both of its image stores. */
  readonly pattern: RegExp;
  readonly message: (image: string, registry: string, reason: string, withCredentials: boolean) => string;
  readonly hint: (registry: string, withCredentials: boolean) => string;
}

const KINDS: readonly Kind[] = [
  {
    code: "registry-rate-limit",
    pattern: /toomanyrequests|too many requests|\b429\b|rate limit/i,
    message: (image, registry, reason) => `${registry} refuses more pulls for now (${image}): ${reason}.`,
    hint: (registry) =>
      `Log in to ${registry} in a step before (a login has a higher limit), set image to a mirror, or try again later.`,
  },
  {
    code: "registry-unauthorized",
    pattern: /unauthorized|authentication required|no basic auth credentials|\b401\b|incorrect username or password/i,
    message: (image, registry, reason, withCredentials) =>
      withCredentials
        ? `${registry} does not accept the stored login for ${image}: ${reason}.`
        : `${registry} wants a login for ${image}: ${reason}.`,
    hint: (registry, withCredentials) =>
      withCredentials
        ? `Log in to ${registry} again in a step before, or log out: the official image needs no login.`
        : `Log in to ${registry} in a step before (docker/login-action), or correct the input image.`,
  },
  {
    // Engines say "repository does not exist or may require 'docker login'" as well when a registry denies.
    code: "registry-denied",
    pattern: /denied|forbidden|\b403\b/i,
    message: (image, registry, reason, withCredentials) =>
      `${registry} does not let ${withCredentials ? "the stored login" : "an anonymous user"} pull ${image}: ${reason}.`,
    hint: (registry, withCredentials) =>
      withCredentials
        ? "Give that login the right to read the package, or correct the input image: one that does not exist looks the same."
        : `Log in to ${registry} in a step before, or correct the input image: one that does not exist looks the same.`,
  },
  {
    code: "image-not-found",
    pattern: /manifest unknown|not found|name unknown|does not exist|\b404\b/i,
    message: (image, registry, reason) => `${registry} has no image ${image}: ${reason}.`,
    hint: (registry) =>
      `Check version and image; a private image on ${registry} may look so without a login in a step before.`,
  },
  {
    code: "registry-tls",
    pattern: /x509|certificate|tls: |remote error: tls|server gave HTTP response to HTTPS client/i,
    message: (image, registry, reason) => `The TLS connection to ${registry} failed (${image}): ${reason}.`,
    hint: (registry) =>
      `Put the registry's CA into /etc/docker/certs.d/${registry}/ca.crt on the engine's machine, and check its clock.`,
  },
  {
    code: "registry-failed",
    pattern: /\b50\d\b|unexpected HTTP status: 5|internal server error|service unavailable|bad gateway/i,
    message: (image, registry, reason) => `${registry} failed on ${image}: ${reason}.`,
    hint: (registry) => `Look at the status page of ${registry}, try again later, or set image to a mirror.`,
  },
  {
    code: "registry-unreachable",
    pattern:
      /EOF|connection (reset|refused)|no such host|i\/o timeout|timeout|deadline exceeded|network is unreachable|no route to host|broken pipe|server misbehaving|dial tcp/i,
    message: (image, registry, reason) =>
      `The connection to ${registry} broke or never came about (${image}): ${reason}.`,
    hint: (registry) =>
      `Check that the engine's machine reaches ${registry} (proxy, firewall, DNS), or set image to a mirror.`,
  },
];

/** Makes an error of what the engine says about a failed pull. */
export function pullError(image: string, text: string, withCredentials: boolean, cause?: unknown): ActionError {
  const reason = text.trim().replace(/[.\s]+$/, "");
  const { registry } = splitReference(image);
  const options = cause === undefined ? {} : { cause };
  // The image's own name is in the text and may contain anything, "404" or "denied" too.
  const judged = reason.replaceAll(image, "").replaceAll(splitReference(image).repository, "");
  const kind = KINDS.find(({ pattern }) => pattern.test(judged));
  if (kind === undefined) {
    return new ActionError(
      "image-pull-failed",
      `The engine could not pull ${image}: ${reason}.`,
      "Look at the engine's log, and at the space on its disk.",
      options,
    );
  }
  return new ActionError(
    kind.code,
    kind.message(image, registry, reason, withCredentials),
    kind.hint(registry, withCredentials),
    options,
  );
}

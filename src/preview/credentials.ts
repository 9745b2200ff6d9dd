import { hkdfSync } from "node:crypto";
import { ActionError } from "../runner/errors.ts";
import type { PreviewInputs } from "./inputs.ts";
import { checkKey } from "./ssh/files.ts";

/** Part of every derivation: another way of deriving would get another number, so that no secret means two things. */
const VERSIONS = {
  "preview-secret": "convex-selfhost preview instance-secret v1",
  "ssh-key": "convex-selfhost preview instance-secret of ssh-key v1",
};
/** Below this a secret made by hand can be guessed, and one guess opens every preview. */
const SHORTEST = 32;

/** Whose preview it is: the same in every job, nothing of it secret. */
export interface PreviewIdentity {
  /** `owner/name`; GitHub ignores its case. */
  readonly repository: string;
  readonly name: string;
}

/** What the credentials of all previews are derived from. */
export interface PreviewSecret {
  readonly from: keyof typeof VERSIONS;
  readonly text: string;
}

/**
 * `preview-secret`, else the key that opens the host: who has that has all previews anyway. Its text is what counts, as ssh
 * reads it, so that the login proves it to be a private key. Undefined where neither is there.
 * @throws ActionError `ssh-key-invalid`
 */
export function secretOf(inputs: Pick<PreviewInputs, "previewSecret" | "host" | "sshKey">): PreviewSecret | undefined {
  const { previewSecret, host, sshKey } = inputs;
  if (previewSecret !== undefined) return { from: "preview-secret", text: previewSecret.trim() };
  if (sshKey === undefined || host?.startsWith("ssh://") !== true) return undefined;
  return { from: "ssh-key", text: checkKey(sshKey) };
}

/**
 * Refuses a secret that could be guessed. The secret itself is never part of the error.
 * @throws ActionError `preview-secret-weak`
 */
export function checkPreviewSecret(secret: string): void {
  const text = secret.trim();
  const why =
    text.length < SHORTEST
      ? `has ${text.length} characters; ${SHORTEST} are the least`
      : new Set(text).size < 8
        ? "repeats fewer than eight different characters"
        : undefined;
  if (why === undefined) return;
  throw new ActionError(
    "preview-secret-weak",
    `preview-secret ${why}, and who guesses it has the admin key of every preview.`,
    "Make one with `openssl rand -hex 32` and keep it as a secret of the repository or organisation.",
  );
}

/**
 * The instance secret of one preview: HKDF-SHA-256 (RFC 5869) of the secret's text, without salt, with the info
 * `<version>\0<repository in small letters>\0<name>`, 32 bytes as 64 hex digits. So every job can make it, and with it the
 * admin key, again, nothing is stored, and the secret of one preview tells nothing about another's.
 */
export function deriveInstanceSecret({ from, text }: PreviewSecret, { repository, name }: PreviewIdentity): string {
  const info = [VERSIONS[from], repository.toLowerCase(), name].join("\0");
  return Buffer.from(hkdfSync("sha256", text, "", info, 32)).toString("hex");
}

import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { tempOf } from "../../system/temp.ts";
import { checkKnownHosts } from "./known-hosts.ts";

/** What one connection keeps on the disk of this machine, in a folder that only this user can open. */
export interface SshFiles {
  readonly folder: string;
  readonly key: string;
  readonly knownHosts: string;
  /** Through it further commands use the same connection. */
  readonly control: string;
  /** Where the other machine's engine is on this one. */
  readonly socket: string;
}

export const FOLDER_PREFIX = "convex-ssh-";

/** unix(7): a socket's path has 107 bytes at most, and ssh adds a suffix of 17 to that of its control socket while it makes it. */
const LONGEST_FOLDER = 107 - "/control".length - 18;

/** Paths below a folder that is not there yet, so that it can be named in the state before anything is written. */
export async function makeFolder(deps: Deps): Promise<SshFiles> {
  const temp = tempOf(deps);
  const fits = Buffer.byteLength(join(temp, FOLDER_PREFIX)) + 6 <= LONGEST_FOLDER;
  // mkdtemp makes it with mode 0700.
  const folder = await mkdtemp(join(fits ? temp : tmpdir(), FOLDER_PREFIX));
  await chmod(folder, 0o700);
  return {
    folder,
    key: join(folder, "key"),
    knownHosts: join(folder, "known_hosts"),
    control: join(folder, "control"),
    socket: join(folder, "engine"),
  };
}

/**
 * Writes key and known hosts, 0600.
 * @throws ActionError `ssh-key-invalid`, `known-hosts-invalid`
 */
export async function writeFiles(files: SshFiles, key: string, knownHosts: string): Promise<void> {
  await mkdir(files.folder, { recursive: true, mode: 0o700 });
  await writeFile(files.key, checkKey(key), { mode: 0o600, flag: "wx" });
  await writeFile(files.knownHosts, checkKnownHosts(knownHosts), { mode: 0o600, flag: "wx" });
}

export async function removeFiles(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** As ssh reads it: no carriage returns, and a line end behind the last line. Errors show nothing of it. */
export function checkKey(text: string): string {
  const key = text.replace(/\r/g, "").trim();
  const refuse = (why: string): ActionError =>
    new ActionError(
      "ssh-key-invalid",
      `ssh-key ${why}.`,
      'Make a key for this alone (ssh-keygen -t ed25519 -N "" -f preview) and keep the whole file "preview" as the secret.',
    );
  if (/^(ssh-|ecdsa-|sk-)/.test(key)) throw refuse("is a public key; the private one is needed");
  if (!/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\n/.test(key)) {
    throw refuse("is no private key: its first line is not -----BEGIN … PRIVATE KEY-----");
  }
  if (!/\n-----END [A-Z0-9 ]*PRIVATE KEY-----$/.test(key)) throw refuse("is cut off: its END line is missing");
  if (/ENCRYPTED/.test(key)) throw refuse("is protected by a passphrase, which nobody could type in a job");
  return `${key}\n`;
}

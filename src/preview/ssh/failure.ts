import { createHash } from "node:crypto";
import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import type { SshAddress } from "./address.ts";

const UNREACHABLE: readonly (readonly [RegExp, string])[] = [
  [/Could not resolve hostname/i, "its name is not known in DNS"],
  [/Connection refused/i, "nothing listens there"],
  [/Connection timed out|Operation timed out|timed out during banner/i, "it does not answer"],
  [/No route to host|Network is unreachable/i, "there is no route to it"],
  [/Connection reset|Connection closed|kex_exchange_identification/i, "it closed the connection at once"],
];

/** What ssh's last words amount to; it ends with 255 whatever went wrong, so its text is all there is. */
export async function sshFailure(address: SshAddress, said: readonly string[], deps: Deps): Promise<ActionError> {
  const text = said.join("\n");
  const { where } = address;
  if (/HOST IDENTIFICATION HAS CHANGED|host key for .* has changed/i.test(text)) {
    return new ActionError(
      "ssh-host-key-changed",
      `${where} shows another host key than known-hosts names: somebody stands in between, or the server was set up anew.`,
      "Find out on the server itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and change known-hosts only if its own key is the new one.",
    );
  }
  if (/Host key verification failed|No .* host key is known/i.test(text)) return await unknownHost(address, deps);
  if (/Load key|error in libcrypto|invalid format|incorrect passphrase/i.test(text)) {
    return new ActionError(
      "ssh-key-invalid",
      "ssh cannot read ssh-key: it is damaged, of a kind that this ssh does not know, or protected by a passphrase.",
      'Make a key for this alone (ssh-keygen -t ed25519 -N "" -f preview) and keep the whole file "preview" as the secret.',
    );
  }
  if (/Permission denied/i.test(text)) {
    return new ActionError(
      "ssh-key-refused",
      `${where} does not accept ssh-key for user ${address.user}.`,
      `Add the public part to ~${address.user}/.ssh/authorized_keys there; sshd's log on the server says more (journalctl -u ssh).`,
    );
  }
  const why = UNREACHABLE.find(([pattern]) => pattern.test(text))?.[1];
  const last = said.findLast((line) => line.trim() !== "") ?? "it said nothing";
  return new ActionError(
    why === undefined ? "ssh-failed" : "ssh-unreachable",
    why === undefined
      ? `The connection to ${where} failed: ${last.trim()}.`
      : `${where} (port ${address.port}) cannot be reached: ${why}.`,
    "Check host and port, the server's firewall, and that sshd runs there; hosted runners have changing addresses.",
  );
}

/** Shows what the server offers now, for a person to compare. Nothing of it is trusted or stored. */
async function unknownHost(address: SshAddress, deps: Deps): Promise<ActionError> {
  const lines = await scan(address, deps);
  const prints = lines.map((line) => `${fingerprintOf(line)} (${line.split(" ")[1] ?? ""})`);
  if (lines.length > 0) {
    deps.log.info(`Host keys that ${address.where} shows to this job, to be compared with its own before use:`);
    deps.log.foreign(lines.flatMap((line) => [line, `  ${fingerprintOf(line)}`]));
  }
  return new ActionError(
    "ssh-host-key-unknown",
    `The host key of ${address.where} is not in known-hosts, so nobody can tell whether it is the right server.${
      prints.length === 0 ? "" : ` It shows ${prints.join(", ")}.`
    }`,
    "Compare with the fingerprint on the server itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); if they are equal, put the line from the log above into known-hosts.",
  );
}

async function scan({ host, port }: SshAddress, deps: Deps): Promise<string[]> {
  try {
    const args = ["-T", "5", "-p", String(port), "-t", "ed25519,ecdsa,rsa", "--", host];
    const result = await deps.exec.run("ssh-keyscan", args, { timeoutMs: 15_000 });
    return result.stdout.split("\n").filter((line) => /^\S+ \S+ [A-Za-z0-9+/]+=*$/.test(line));
  } catch {
    return [];
  }
}

/** As `ssh-keygen -l` shows it. */
export function fingerprintOf(line: string): string {
  const key = Buffer.from(line.split(" ")[2] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

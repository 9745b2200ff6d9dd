import { isIP } from "node:net";
import { ActionError } from "../../runner/errors.ts";

/** Whom docs/previews.md makes on the server, and who logs in where nothing else is said. */
const USUAL_USER = "deploy";

/**
 * The lines without comments, such as `ssh-keyscan` prints them.
 * @throws ActionError `known-hosts-invalid`
 */
export function checkKnownHosts(text: string): string {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const bad = lines.find(
    (line) => !/^(@(cert-authority|revoked)\s+)?\S+\s+[\w@.-]+\s+[A-Za-z0-9+/]+=*(\s|$)/.test(line),
  );
  if (bad === undefined) return `${lines.join("\n")}\n`;
  throw new ActionError(
    "known-hosts-invalid",
    `known-hosts holds a line that is none of a known_hosts file: it begins with ${JSON.stringify(bad.slice(0, 30))}.`,
    "Take the lines that `ssh-keyscan <host>` prints, and compare them with the server's own keys before you store them.",
  );
}

/**
 * The one server that all lines name, as `ssh://deploy@host[:port]`; undefined where they name several, or hide the name
 * (hashed), or only match it (patterns, markers). Of several names of a line the first that is no IP address counts.
 * Format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
 * @throws ActionError `known-hosts-invalid`: the first word of another line would be taken for a name
 */
export function serverOf(knownHosts: string): string | undefined {
  const lines = checkKnownHosts(knownHosts).split("\n").filter(Boolean);
  const servers = new Set(lines.map((line) => serverOfNames(line.split(/\s/, 1)[0] ?? "")));
  const [server] = servers;
  return servers.size === 1 ? server : undefined;
}

function serverOfNames(names: string): string | undefined {
  if (/[|@*?!]/.test(names)) return undefined;
  const all = names.split(",").map((name) => {
    const [, host = name, port = "22"] = /^\[(.+)\]:(\d+)$/.exec(name) ?? [];
    return { host: host.toLowerCase(), port };
  });
  const first = all.find(({ host }) => isIP(host) === 0) ?? all[0];
  if (first === undefined) return undefined;
  const host = isIP(first.host) === 6 ? `[${first.host}]` : first.host;
  return `ssh://${USUAL_USER}@${host}${first.port === "22" ? "" : `:${first.port}`}`;
}

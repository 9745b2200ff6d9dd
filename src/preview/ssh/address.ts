import { ActionError } from "../../runner/errors.ts";

/** Another machine as `ssh://user@host[:port][/path/of/the/engine's/socket]` names it. */
export interface SshAddress {
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** The engine's Unix socket there. */
  readonly socket: string;
  /** As people know it, without the defaults. */
  readonly where: string;
}

const DEFAULT_SOCKET = "/var/run/docker.sock";

/**
 * Reads it strictly: user and host become arguments of `ssh`, which must not take them for options.
 * @throws ActionError `ssh-address-invalid`
 */
export function parseSshAddress(text: string): SshAddress {
  const url = URL.parse(text);
  const invalid = (why: string): ActionError =>
    new ActionError(
      "ssh-address-invalid",
      `host: ${JSON.stringify(shown(text))} ${why}.`,
      "The form is ssh://user@host, ssh://user@host:2222, or with another socket ssh://user@host/run/user/1000/docker.sock.",
    );
  if (url === null || url.protocol !== "ssh:") throw invalid("is no ssh:// address");
  if (url.password !== "") throw invalid("holds a password; only keys are used");
  if (url.search !== "" || url.hash !== "") throw invalid("has something after its path");
  const user = decodeURIComponent(url.username);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (user === "") throw invalid("names no user");
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?$/.test(user)) throw invalid("names a user that no system has");
  if (!/^[A-Za-z0-9][A-Za-z0-9.:-]*$/.test(host)) throw invalid("names no host");
  const path = decodeURIComponent(url.pathname);
  const socket = path === "" || path === "/" ? DEFAULT_SOCKET : path;
  if (!/^\/[\w./-]+$/.test(socket)) throw invalid("names a socket with characters that are not taken");
  const port = url.port === "" ? 22 : Number(url.port);
  const shownPort = port === 22 ? "" : `:${port}`;
  return { user, host, port, socket, where: `ssh://${user}@${url.hostname}${shownPort}` };
}

/** Whoever wrote a password into it must not see it in a log. */
function shown(text: string): string {
  return text.replace(/:[^:@/]*@/, ":***@");
}

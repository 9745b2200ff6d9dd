import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, chown, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { createConnection } from "mysql2/promise";
import { freePorts } from "../../../src/system/ports.ts";
import { makeCertificates } from "./certificates.ts";

const run = promisify(execFile);
const SERVER = "/usr/sbin/mariadbd";

/** Whether a MariaDB is installed: it speaks MySQL's protocol, and Debian has no MySQL. */
export const hasMariaDb = await access(SERVER).then(
  () => true,
  () => false,
);

export interface MariaDb {
  readonly port: number;
  readonly directory: string;
  /** Runs statements as the administrator. */
  administer(...statements: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** The server refuses to run as root, and its folder must then be its own. */
async function owned(path: string): Promise<void> {
  await chmod(path, 0o755);
  if (process.getuid?.() !== 0) return;
  const { stdout } = await run("id", ["-u", "mysql"]);
  await chown(path, Number(stdout), -1);
}

/**
 * A throwaway server on 127.0.0.1 with user `root`, password `my/pass`.
 * @param options `version`: what it says it is; `tls`: with a certificate for localhost; `more`: further options
 */
export async function startMariaDb(
  options: { readonly version?: string; readonly tls?: boolean; readonly more?: readonly string[] } = {},
): Promise<MariaDb> {
  const directory = await mkdtemp(join(tmpdir(), "mariadb-test-"));
  await owned(directory);
  const data = join(directory, "data");
  const user = process.getuid?.() === 0 ? ["--user=mysql"] : [];
  await run("mariadb-install-db", [
    "--no-defaults",
    ...user,
    `--datadir=${data}`,
    "--auth-root-authentication-method=normal",
    "--skip-test-db",
  ]);
  const [port = 0] = await freePorts(1);
  const settings = ["--bind-address=127.0.0.1", `--port=${port}`, `--socket=${directory}/socket`];
  if (options.version !== undefined) settings.push(`--version=${options.version}`);
  if (options.tls === true) {
    await makeCertificates(directory);
    for (const name of ["server.key", "server.pem"]) await owned(join(directory, name));
    settings.push(`--ssl-cert=${directory}/server.pem`, `--ssl-key=${directory}/server.key`);
  }
  const args = ["--no-defaults", ...user, `--datadir=${data}`, ...settings, ...(options.more ?? [])];
  const child = spawn(SERVER, [...args, `--log-error=${directory}/log`], { stdio: "ignore" });
  const login = { host: "127.0.0.1", port, user: "root" };
  await ready(child, directory, login);
  const administer = async (...statements: readonly string[]): Promise<void> => {
    const connection = await createConnection({ ...login, password: "my/pass" });
    for (const statement of statements) await connection.query(statement);
    await connection.end();
  };
  return {
    port,
    directory,
    administer,
    stop: async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function ready(child: ChildProcess, directory: string, login: { host: string; port: number; user: string }) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) {
      throw new Error(`MariaDB ended with ${child.exitCode}: ${await readFile(join(directory, "log"), "utf8")}`);
    }
    try {
      const connection = await createConnection(login);
      await connection.query("ALTER USER root@localhost IDENTIFIED BY 'my/pass'");
      await connection.end();
      return;
    } catch {
      await delay(50);
    }
  }
  throw new Error("MariaDB does not answer");
}

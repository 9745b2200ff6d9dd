import { execFile } from "node:child_process";
import { appendFile, chown, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts } from "../../../src/system/ports.ts";
import { makeCertificates } from "./certificates.ts";

const run = promisify(execFile);
const ROOT = "/usr/lib/postgresql";

/** Directory of the server's programs; undefined where no Postgres is installed. */
export async function postgresPrograms(): Promise<string | undefined> {
  const versions = await readdir(ROOT).catch(() => []);
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : join(ROOT, newest, "bin");
}

export interface Cluster {
  readonly port: number;
  readonly directory: string;
  /** Starts it anew as one that takes connections and refuses them: it is not ready yet. Needs no TLS. */
  holdBack(): Promise<void>;
  /** Lets it become ready after that. */
  letGo(): Promise<void>;
  stop(): Promise<void>;
}

/** The server refuses to run as root. */
async function asServer(program: string, args: readonly string[]): Promise<void> {
  const root = process.getuid?.() === 0;
  await run(root ? "runuser" : program, root ? ["-u", "postgres", "--", program, ...args] : [...args]);
}

async function owned(path: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { stdout } = await run("id", ["-u", "postgres"]);
  await chown(path, Number(stdout), -1);
}

/** A throwaway server on 127.0.0.1, or on `address` for all who reach it, with user `postgres`, password `pg/pass`, and TLS where a certificate is wanted. */
export async function startCluster(
  programs: string,
  tls: boolean,
  address = "127.0.0.1",
  below = tmpdir(),
): Promise<Cluster> {
  const directory = await mkdtemp(join(below, "postgres-test-"));
  await owned(directory);
  const secret = join(directory, "password");
  await writeFile(secret, "pg/pass\n");
  await owned(secret);
  const data = join(directory, "data");
  const init = ["-D", data, "-U", "postgres", "-A", "scram-sha-256", `--pwfile=${secret}`, "--no-sync"];
  await asServer(join(programs, "initdb"), init);
  if (address !== "127.0.0.1") await appendFile(join(data, "pg_hba.conf"), "host all all 0.0.0.0/0 scram-sha-256\n");
  const [port = 0] = await freePorts(1);
  const settings = [`-h ${address}`, `-p ${port}`, `-k ${directory}`, "-c fsync=off"];
  if (tls) {
    await makeCertificates(directory);
    for (const name of ["server.key", "server.pem"]) await owned(join(directory, name));
    settings.push("-c ssl=on", `-c ssl_cert_file=${directory}/server.pem`, `-c ssl_key_file=${directory}/server.key`);
  }
  const control = join(programs, "pg_ctl");
  await asServer(control, ["-D", data, "-w", "-s", "-l", join(directory, "log"), "-o", settings.join(" "), "start"]);
  return {
    port,
    directory,
    // A replica of nobody that may not be read is refused with the code of a server that starts.
    holdBack: async () => {
      await writeFile(join(data, "standby.signal"), "");
      await owned(join(data, "standby.signal"));
      const held = [...settings, "-c hot_standby=off"].join(" ");
      await asServer(control, ["-D", data, "-w", "-s", "-l", join(directory, "log"), "-o", held, "restart"]);
    },
    letGo: () => asServer(control, ["-D", data, "-w", "-s", "promote"]),
    stop: async () => {
      await asServer(control, ["-D", data, "-m", "immediate", "-s", "stop"]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

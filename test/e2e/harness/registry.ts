import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { tool } from "./tools.ts";

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly pem: string;
}

/** A self-signed certificate for one name. */
export async function makeCertificate(folder: string, name: string): Promise<Certificate> {
  mkdirSync(folder, { recursive: true });
  const certFile = join(folder, `${name}.crt`);
  const keyFile = join(folder, `${name}.key`);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", keyFile];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-days", "3650", "-out", certFile];
  const result = await systemExec.run(tool("openssl"), ["req", "-x509", ...key, ...subject]);
  if (result.exitCode !== 0) throw new Error(`openssl: ${result.stderr}`);
  return { certFile, keyFile, pem: readFileSync(certFile, "utf8") };
}

export interface RegistryOptions {
  /** Where its files are; registries with the same folder hold the same images. */
  readonly folder: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly certificate?: Certificate;
  /** Lines of an htpasswd file (bcrypt); everything is public without. */
  readonly htpasswd?: string;
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Starts a registry that knows what is pushed into it. Its configuration is JSON, which YAML includes. */
export function startRegistry({
  folder,
  name,
  address,
  port,
  certificate,
  htpasswd,
}: RegistryOptions): Promise<Daemon> {
  mkdirSync(folder, { recursive: true });
  const passwords = join(folder, `${name}.htpasswd`);
  if (htpasswd !== undefined) writeFileSync(passwords, htpasswd);
  const config = {
    version: 0.1,
    log: { level: "warn" },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: {
      addr: `${address}:${port}`,
      ...(certificate === undefined ? {} : { tls: { certificate: certificate.certFile, key: certificate.keyFile } }),
    },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: "registry", path: passwords } } }),
  };
  const file = join(folder, `${name}.yml`);
  writeFileSync(file, JSON.stringify(config));
  const daemon = startDaemon(`registry ${name}`, [tool("docker-registry"), "serve", file], join(folder, `${name}.log`));
  return ready(daemon, () => listens(address, port));
}

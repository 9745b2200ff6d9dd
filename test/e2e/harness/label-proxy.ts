/**
 * nginx in front of the second machine's previews, made from the labels that a proxy of theirs would read: Traefik's
 * routers and services, or the sites of caddy-docker-proxy. Neither can be built here from the module proxy alone, so it
 * is the labels that are tested, not how either proxy reads them.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Daemon, ready, startDaemon, until } from "./daemon.ts";
import { inside, type Remote, remoteAddress } from "./remote.ts";
import { tool } from "./tools.ts";

interface Entry {
  readonly Labels: Readonly<Record<string, string>>;
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

interface Site {
  readonly host: string;
  readonly upstream: string;
}

export interface LabelProxy {
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string;
  /** Host names that it serves now. */
  hosts(): readonly string[];
  stop(): Promise<void>;
}

async function openssl(...args: string[]): Promise<void> {
  const result = await systemExec.run(tool("openssl"), args);
  if (result.exitCode !== 0) throw new Error(`openssl ${args[0]}: ${result.stderr}`);
}

/** An authority, and a wildcard certificate that it signed. */
async function certificates(folder: string, domain: string): Promise<void> {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  const at = (name: string): string => join(folder, name);
  await openssl("req", "-x509", ...curve, "-subj", "/CN=test authority", "-keyout", at("ca.key"), "-out", at("ca.pem"));
  await openssl("req", ...curve, "-subj", `/CN=*.${domain}`, "-keyout", at("key.pem"), "-out", at("request.pem"));
  writeFileSync(at("names"), `subjectAltName=DNS:*.${domain}\n`);
  const signed = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("names")];
  await openssl("x509", "-req", "-days", "30", "-in", at("request.pem"), ...signed, "-out", at("cert.pem"));
}

function traefikSites({ Labels, NetworkSettings }: Entry): Site[] {
  if (Labels["traefik.enable"] !== "true") return [];
  const address = NetworkSettings.Networks[Labels["traefik.docker.network"] ?? ""]?.IPAddress;
  if (!address) return [];
  return Object.entries(Labels).flatMap(([label, value]) => {
    const [, router] = /^traefik\.http\.routers\.([^.]+)\.rule$/.exec(label) ?? [];
    const [, host] = /^Host\(`([^`]+)`\)$/.exec(value) ?? [];
    if (router === undefined || host === undefined || Labels[`traefik.http.routers.${router}.tls`] !== "true")
      return [];
    const service = Labels[`traefik.http.routers.${router}.service`];
    const port = Labels[`traefik.http.services.${service}.loadbalancer.server.port`];
    return port === undefined ? [] : [{ host, upstream: `${address}:${port}` }];
  });
}

function caddySites({ Labels, NetworkSettings }: Entry): Site[] {
  const address = NetworkSettings.Networks[Labels["caddy_ingress_network"] ?? ""]?.IPAddress;
  if (!address) return [];
  return Object.entries(Labels).flatMap(([label, host]) => {
    if (!/^caddy_\d+$/.test(label)) return [];
    const [, port] = /^\{\{upstreams (\d+)\}\}$/.exec(Labels[`${label}.reverse_proxy`] ?? "") ?? [];
    return port === undefined ? [] : [{ host, upstream: `${address}:${port}` }];
  });
}

function configOf(folder: string, sites: readonly Site[]): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const server = (names: string, body: string, flag = ""): string =>
    `server { listen ${remoteAddress}:443 ssl${flag}; server_name ${names}; ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem; ${body} }`;
  return `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; user root;
events {}
http {
  access_log off; client_max_body_size 0; server_names_hash_bucket_size 128;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};`).join("\n")}
  ${server("_", "return 404;", " default_server")}
${sites.map(({ host, upstream }) => `  ${server(host, `location / { proxy_pass http://${upstream}; proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto https; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; }`)}`).join("\n")}
}
`;
}

/** Starts it; it looks at the engine every few milliseconds and loads what changed. */
export async function startLabelProxy(remote: Remote, domain: string): Promise<LabelProxy> {
  const folder = join(remote.folder, "proxy");
  mkdirSync(folder, { recursive: true });
  await certificates(folder, domain);
  const file = join(folder, "nginx.conf");
  let sites: Site[] = [];
  writeFileSync(file, configOf(folder, sites));
  const nginx = inside(tool("nginx"), "-p", folder, "-c", file, "-e", join(folder, "error.log"));
  const daemon: Daemon = await ready(
    startDaemon("proxy", nginx, join(folder, "log")),
    () => readFileSync(join(folder, "nginx.pid"), "utf8") !== "",
  );
  let over = false;
  const watch = (async (): Promise<void> => {
    while (!over) {
      await new Promise((done) => setTimeout(done, 100));
      const answer = await systemHttp
        .request("http://engine/containers/json", { socketPath: remote.socket, timeoutMs: 5000 })
        .catch(() => undefined);
      if (answer?.status !== 200) continue;
      const entries = answer.json() as Entry[];
      const found = entries.flatMap((entry) => [...traefikSites(entry), ...caddySites(entry)]);
      found.sort((a, b) => (a.host < b.host ? -1 : 1));
      if (JSON.stringify(found) === JSON.stringify(sites)) continue;
      sites = found;
      writeFileSync(file, configOf(folder, sites));
      process.kill(Number(readFileSync(join(folder, "nginx.pid"), "utf8")), "SIGHUP");
    }
  })();
  return {
    caFile: join(folder, "ca.pem"),
    hosts: () => sites.map(({ host }) => host),
    stop: async () => {
      over = true;
      await watch;
      process.kill(Number(readFileSync(join(folder, "nginx.pid"), "utf8")), "SIGTERM");
      await until("the proxy has ended", () => daemon.child.exitCode !== null || daemon.child.signalCode !== null);
    },
  };
}

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Entry, ProxyProgram } from "./label-proxy.ts";
import { remoteAddress } from "./remote.ts";
import { tool } from "./tools.ts";

interface Site {
  readonly host: string;
  readonly upstream: string;
}

/** Routers and services as Traefik reads them, of what an `up` writes. */
function sitesOf({ Labels, NetworkSettings }: Entry): Site[] {
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

/** nginx in Traefik's place, with one wildcard certificate. */
export class NginxProxy implements ProxyProgram {
  readonly file: string;
  readonly command: readonly string[];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.file = join(folder, "nginx.conf");
    this.command = [tool("nginx"), "-p", folder, "-c", this.file, "-e", join(folder, "error.log")];
  }

  configOf(entries: readonly Entry[]): string {
    const folder = this.#folder;
    const sites = entries.flatMap(sitesOf).sort((a, b) => (a.host < b.host ? -1 : 1));
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

  async isReady(): Promise<boolean> {
    const file = join(this.#folder, "nginx.pid");
    return existsSync(file) && readFileSync(file, "utf8") !== "";
  }

  async reload(pid: number): Promise<void> {
    process.kill(pid, "SIGHUP");
  }
}

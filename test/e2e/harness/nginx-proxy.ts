import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemHttp } from "../../../src/system/http.ts";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
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

/** nginx in Traefik's place, with one wildcard certificate. It looks at the engine every few milliseconds and loads what changed. */
export async function startNginx(remote: Remote, folder: string): Promise<Pick<Daemon, "stop">> {
  const file = join(folder, "nginx.conf");
  const pidFile = join(folder, "nginx.pid");
  let config = configOf(folder, []);
  writeFileSync(file, config);
  const nginx = inside(tool("nginx"), "-p", folder, "-c", file, "-e", join(folder, "error.log"));
  const daemon = await ready(
    startDaemon("nginx", nginx, join(folder, "log")),
    () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "",
  );
  let over = false;
  const watch = (async (): Promise<void> => {
    while (!over) {
      await new Promise((done) => setTimeout(done, 100));
      const answer = await systemHttp
        .request("http://engine/containers/json", { socketPath: remote.socket, timeoutMs: 5000 })
        .catch(() => undefined);
      if (answer?.status !== 200) continue;
      const sites = (answer.json() as Entry[]).flatMap(sitesOf);
      const now = configOf(
        folder,
        sites.sort((a, b) => (a.host < b.host ? -1 : 1)),
      );
      if (now === config) continue;
      config = now;
      writeFileSync(file, config);
      daemon.child.kill("SIGHUP");
    }
  })();
  return {
    stop: async () => {
      over = true;
      await watch;
      await daemon.stop();
    },
  };
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import type { Entry, ProxyProgram } from "./label-proxy.ts";
import { inside } from "./remote.ts";
import { tool } from "./tools.ts";

/** By caddy-docker-proxy's rules: `caddy` or `caddy_<n>` opens a site, what is behind a dot is a directive in it. */
const LABEL = /^caddy(?:_\d+)?(?:\.(.+))?$/;

/** `{{upstreams <port>}}`: the container's addresses on the ingress network. */
function filled(text: string, address: string): string {
  return text.replace(/\{\{\s*upstreams(?: (?:http|https))? (\d+)\s*\}\}/g, (_, port: string) => `${address}:${port}`);
}

function sitesOf({ Labels, NetworkSettings }: Entry): string[] {
  const address = NetworkSettings.Networks[Labels["caddy_ingress_network"] ?? ""]?.IPAddress ?? "";
  return Object.entries(Labels).flatMap(([label, host]) => {
    const [opens, directive] = LABEL.exec(label) ?? [];
    if (opens === undefined || directive !== undefined) return [];
    const inner = Object.entries(Labels).flatMap(([other, value]) => {
      const name = other.startsWith(`${label}.`) ? other.slice(label.length + 1) : undefined;
      if (name?.includes(".") === true) throw new Error(`${other}: blocks in blocks are not read here`);
      return name === undefined ? [] : [`\t${name} ${filled(value, address)}`];
    });
    // The plugin leaves out an upstream that has no address there, and Caddy then answers 502.
    return address === "" ? [] : [`${host} {\n${inner.sort().join("\n")}\n}`];
  });
}

/** A real Caddy. It makes each name's certificate itself when it sees the name, signed by the tests' authority. */
export class CaddyProxy implements ProxyProgram {
  readonly file: string;
  readonly command: readonly string[];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.file = join(folder, "Caddyfile");
    this.command = [tool("caddy"), "run", "--config", this.file, "--adapter", "caddyfile"];
  }

  get #admin(): string {
    return `unix/${join(this.#folder, "admin.sock")}`;
  }

  configOf(entries: readonly Entry[]): string {
    const folder = this.#folder;
    const root = `root {\n\t\t\t\tformat pem_file\n\t\t\t\tcert ${folder}/ca.pem\n\t\t\t\tkey ${folder}/ca.key\n\t\t\t}`;
    const global = [
      `admin ${this.#admin}`,
      "persist_config off",
      "local_certs",
      "skip_install_trust",
      `storage file_system ${folder}/storage`,
      `pki {\n\t\tca local {\n\t\t\t${root}\n\t\t}\n\t}`,
    ];
    return `{\n${global.map((line) => `\t${line}`).join("\n")}\n}\n${entries.flatMap(sitesOf).sort().join("\n")}\n`;
  }

  async isReady(): Promise<boolean> {
    return existsSync(join(this.#folder, "admin.sock"));
  }

  async reload(): Promise<void> {
    const [command = "", ...args] = inside(tool("caddy"), "reload", "--config", this.file, "--address", this.#admin);
    const result = await systemExec.run(command, [...args, "--adapter", "caddyfile"]);
    if (result.exitCode !== 0) throw new Error(`caddy reload: ${result.stderr}`);
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../../src/system/ports.ts";

export interface Nginx extends AsyncDisposable {
  readonly port: number;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function ready(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    if (await accepts(port)) return;
    await delay(20);
  }
  throw new Error("nginx does not listen");
}

/**
 * A real nginx on the loopback with one server.
 * @param server what stands in `server { … }` behind `listen`; `$DIR` is replaced by its folder
 * @param options `tls` is put behind the port in `listen`; `files` are written into the folder
 */
export async function startNginx(
  server: string,
  options: { readonly tls?: boolean; readonly files?: Readonly<Record<string, string>> } = {},
): Promise<Nginx> {
  const directory = await mkdtemp(join(tmpdir(), "nginx-"));
  const [port = 0] = await freePorts(1);
  for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(directory, name), text);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  await writeFile(
    join(directory, "nginx.conf"),
    `daemon off; master_process off; pid ${directory}/pid; error_log ${directory}/error.log;
events {}
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${directory}/${name};`).join("\n")}
  server {
    listen 127.0.0.1:${port}${options.tls === true ? " ssl" : ""};
${server.replaceAll("$DIR", directory)}
  }
}
`,
  );
  const child = spawn(
    "nginx",
    ["-p", directory, "-c", join(directory, "nginx.conf"), "-e", join(directory, "error.log")],
    {
      stdio: "ignore",
    },
  );
  await ready(child, port);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { type Daemon, ready, startDaemon } from "./daemon.ts";
import { world } from "./world.ts";

/** A deployment that runs somewhere else, as production does: not started by a workflow. */
export interface Deployment extends AsyncDisposable {
  readonly url: string;
  readonly siteUrl: string;
  readonly adminKey: string;
  readonly instanceSecret: string;
}

export interface DeploymentOptions {
  readonly name?: string;
  readonly port: number;
}

/** Starts the stand-in as a deployment of its own; HTTP actions are on the next port. */
export async function startDeployment({ name = "production", port }: DeploymentOptions): Promise<Deployment> {
  const folder = mkdtempSync(join(world().scratch, "deployment-"));
  const instanceSecret = "7a".repeat(32);
  const [url, siteUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`];
  const daemon: Daemon = startDaemon(
    `deployment ${name}`,
    [
      ...[world().binary, "--port", String(port), "--site-proxy-port", String(port + 1), "--interface", "127.0.0.1"],
      ...["--convex-origin", url, "--convex-site", siteUrl, "--instance-name", name],
      ...["--instance-secret", instanceSecret, "--local-storage", join(folder, "storage"), "--disable-beacon"],
      join(folder, "db.sqlite3"),
    ],
    join(folder, "log"),
  );
  await ready(daemon, async () => (await systemHttp.request(`${url}/version`, { timeoutMs: 2000 })).status === 200);
  return {
    url,
    siteUrl,
    instanceSecret,
    adminKey: issueAdminKey({ instanceName: name, instanceSecret }),
    [Symbol.asyncDispose]: () => daemon.stop(),
  };
}

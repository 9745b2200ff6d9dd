/** The least that a start can take: run it, poll every 10 ms, make one call. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { issueAdminKey } from "../src/credentials/admin-key.ts";
import { systemHttp } from "../src/system/http.ts";
import { run } from "./measure.ts";

const url = "http://127.0.0.1:3210";
const credentials = { instanceName: "convex-self-hosted", instanceSecret: "5e".repeat(32) };

async function usable(): Promise<void> {
  for (;;) {
    try {
      if ((await systemHttp.request(`${url}/version`, { timeoutMs: 1000 })).status === 200) break;
    } catch {
      // Not yet.
    }
    await delay(10);
  }
  const headers = { authorization: `Convex ${issueAdminKey(credentials)}` };
  const answer = await systemHttp.request(`${url}/api/check_admin_key`, { headers });
  if (answer.status !== 200) throw new Error(`the backend answered ${answer.status}`);
}

export async function floorDocker(image: string): Promise<() => Promise<void>> {
  const environment = [
    "CONVEX_CLOUD_ORIGIN=http://127.0.0.1:3210",
    "CONVEX_SITE_ORIGIN=http://127.0.0.1:3211",
    `INSTANCE_NAME=${credentials.instanceName}`,
    `INSTANCE_SECRET=${credentials.instanceSecret}`,
    "DISABLE_BEACON=true",
  ].flatMap((value) => ["-e", value]);
  const ports = ["-p", "127.0.0.1:3210:3210", "-p", "127.0.0.1:3211:3211"];
  await run("docker", ["run", "-d", "--name", "floor", ...ports, ...environment, image]);
  await usable();
  return async () => {
    await run("docker", ["rm", "-fv", "floor"]);
  };
}

export async function floorBinary(executable: string): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "floor-"));
  const instance = ["--instance-name", credentials.instanceName, "--instance-secret", credentials.instanceSecret];
  const args = ["--interface", "127.0.0.1", ...instance, "--disable-beacon"];
  const child: ChildProcess = spawn(executable, args, { cwd: folder, stdio: "ignore" });
  const ended = new Promise((resolve) => child.on("close", resolve));
  await usable();
  return async () => {
    child.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true });
  };
}

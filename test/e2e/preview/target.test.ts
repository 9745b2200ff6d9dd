/** Previews on a real engine, without proxy and SSH: what is made, kept, changed and removed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { issueAdminKey } from "../../../src/credentials/admin-key.ts";
import type { DeploymentClient } from "../../../src/deployment/client.ts";
import type { Applied, PreviewSpec } from "../../../src/preview/target.ts";
import { waitInPublic } from "../../../src/preview/wait.ts";
import { systemHttp } from "../../../src/system/http.ts";
import { folder, realDeps } from "../docker/support.ts";
import { docker } from "../harness/engine.ts";
import { push } from "../harness/image.ts";
import { type Baseline, baseline } from "../harness/leftovers.ts";
import { world } from "../harness/world.ts";
import { countedDeps, localTarget, previewSpec, repository } from "./support.ts";

let before: Baseline;
beforeEach(async () => {
  before = await baseline();
});
afterEach(async () => {
  await before.sweep();
});

const deps = realDeps();

async function reached(
  target: Awaited<ReturnType<typeof localTarget>>,
  spec: PreviewSpec,
  applied: Applied,
): Promise<DeploymentClient> {
  const { name, instanceName, instanceSecret } = spec;
  const key = (format: "current" | "legacy"): string => issueAdminKey({ instanceName, instanceSecret, format });
  const wanted = { name, instanceName, origins: applied.origins, timeoutMs: 60_000, key };
  return (await waitInPublic(target, wanted, deps)).client;
}

const inspect = async (what: string, format: string): Promise<string> => await docker("inspect", "-f", format, what);

describe("a preview on an engine", () => {
  it("is made once, is left alone by the same wish, and keeps its data through other settings", async () => {
    const spec = previewSpec("pr-1", { cpus: 0.5 });
    const target = await localTarget();
    const first = await target.apply(spec);
    expect(first.outcome).toBe("created");
    expect(first.before).toBeUndefined();
    const client = await reached(target, spec, first);
    await client.updateVariables([{ name: "KEPT", value: "yes" }]);
    await target.confirm("pr-1", { commit: "a".repeat(40), ttlMs: 60_000, deployed: "f" });

    const counted = countedDeps();
    const again = await localTarget({}, counted);
    const second = await again.apply(spec);
    expect(second).toMatchObject({ outcome: "unchanged", origins: first.origins });
    expect(second.before).toMatchObject({
      commit: "a".repeat(40),
      ttlMs: 60_000,
      deployed: "f",
      running: true,
      number: 1,
    });
    await again.confirm("pr-1", { commit: "a".repeat(40) });
    // Ping, image, three lists; the new marker and the end of the old one.
    expect(counted.calls, counted.calls.join("\n")).toHaveLength(7);

    const other = { ...spec, memory: 600 * 1024 * 1024 };
    const third = await again.apply(other);
    expect(third).toMatchObject({ outcome: "recreated", origins: first.origins });
    expect((await (await reached(again, other, third)).listVariables()).get("KEPT")).toBe("yes");

    const [id = ""] = (await docker("ps", "-q", "--no-trunc")).split("\n");
    expect(
      await inspect(id, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}}"),
    ).toBe(`${600 * 1024 * 1024} 500000000 unless-stopped`);
    const labels = await inspect(id, "{{json .Config.Labels}}");
    expect(labels).not.toContain(spec.instanceSecret);
    expect(labels).toContain('"dev.convex-selfhost.action.repository":"acme/app"');

    await docker("stop", "-t", "0", id);
    expect((await again.apply(other)).outcome).toBe("started");

    const late = await localTarget();
    await late.apply(other);
    const removed = await again.remove("pr-1");
    expect(removed.map((what) => what.split(" ")[0]).sort()).toEqual(["container", "network", "volume"]);
    // A job that was still at work is told, and brings nothing of it back.
    await expect(late.confirm("pr-1", { commit: "a".repeat(40) })).rejects.toMatchObject({ code: "preview-removed" });
    expect(await again.remove("pr-1")).toEqual([]);
    expect(await before.leftovers()).toEqual([]);
  });

  it("is made anew by another release, over the same data", async () => {
    const spec = previewSpec("pr-2");
    const target = await localTarget();
    const first = await target.apply(spec);
    await (await reached(target, spec, first)).updateVariables([{ name: "KEPT", value: "yes" }]);
    const { repository: name, other } = world().image;
    const newer = await localTarget({ image: { reference: `${name}@${other.digest}`, ...other } });
    const second = await newer.apply(spec);
    expect(second.outcome).toBe("recreated");
    expect((await (await reached(newer, spec, second)).listVariables()).get("KEPT")).toBe("yes");
    await newer.remove("pr-2");
    expect(await before.leftovers()).toEqual([]);
  });

  it("is carried on with after an interruption at any point", async () => {
    const spec = previewSpec("pr-3");
    const target = await localTarget();
    const wanted = await target.apply(spec);
    const id = "convex-preview-";
    const name = (await docker("ps", "--format", "{{.Names}}")).split("\n").find((one) => one.startsWith(id)) ?? "";
    // Killed between removal and creation: only volume and network are there.
    await docker("rm", "-f", name);
    expect((await target.apply(spec)).outcome).toBe("recreated");
    // Killed between creation and start.
    const image = await inspect(name, "{{.Config.Image}}");
    const labels = JSON.parse(await inspect(name, "{{json .Config.Labels}}")) as Record<string, string>;
    await docker("rm", "-f", name);
    const flags = Object.entries(labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]);
    await docker("create", "--name", name, ...flags, image);
    const mended = await target.apply(spec);
    expect(mended.outcome).toBe("recreated");
    await reached(target, spec, mended);
    expect(wanted.before).toBeUndefined();
    // Killed before anything but the volume was there.
    await target.remove("pr-3");
    await target.apply(spec);
    await docker("rm", "-f", name);
    await docker("network", "rm", `${name}.net`);
    await reached(target, spec, await target.apply(spec));
    await target.remove("pr-3");
    expect(await before.leftovers()).toEqual([]);
  });

  it("never touches what does not carry all labels", async () => {
    const spec = previewSpec("pr-4");
    const target = await localTarget();
    await target.apply(spec);
    const name = (await docker("ps", "--format", "{{.Names}}")).split("\n").find((one) => one.endsWith("pr-4")) ?? "";
    await target.remove("pr-4");
    const like = (label: string, value: string): string[] => [
      "--label",
      `dev.convex-selfhost.action.${label}=${value}`,
    ];
    const almost = [...like("kind", "preview"), ...like("repository", "acme/app"), ...like("preview", "pr-4")];
    await docker("volume", "create", ...almost, "bystander");
    await docker("network", "create", ...almost, "bystanders");
    await docker("volume", "create", `${name}.data`);
    await expect(target.apply(spec)).rejects.toMatchObject({ code: "preview-name-taken" });
    expect(await target.remove("pr-4")).toEqual([]);
    expect(await target.find("pr-4")).toBeUndefined();
    await docker("volume", "inspect", "bystander", `${name}.data`);
    await docker("network", "inspect", "bystanders");
    await docker("volume", "rm", "bystander", `${name}.data`);
    await docker("network", "rm", "bystanders");
  });

  it("takes neither another pull request's data nor another repository's host name", async () => {
    const target = await localTarget();
    const origins = { cloud: "https://pr-8.preview.test", site: "https://pr-8-site.preview.test" };
    // `host` needs no proxy to be there.
    const behind = await localTarget({ proxy: "traefik", proxyNetwork: "host" });
    await behind.apply(previewSpec("pr-8", { origins }));
    const here = (await docker("ps", "-aq")).split("\n");
    await expect(target.apply(previewSpec("pr-8", { number: 9 }))).rejects.toMatchObject({ code: "preview-shared" });
    const other = { proxy: "traefik" as const, proxyNetwork: "host", repository: "acme/other" };
    const same = previewSpec("pr-8", { origins, repository: "acme/other" });
    await expect((await localTarget(other)).apply(same)).rejects.toMatchObject({ code: "preview-host-taken" });
    expect((await docker("ps", "-aq")).split("\n")).toEqual(here);
    expect((await behind.apply(previewSpec("pr-8", { origins }))).outcome).toBe("unchanged");
    await behind.remove("pr-8");
    expect(await before.leftovers()).toEqual([]);
  });

  it("is listed with what it uses, and only that of its repository", async () => {
    const target = await localTarget();
    for (const spec of ["pr-5", "pr-6"].map((name) => previewSpec(name))) {
      await reached(target, spec, await target.apply(spec));
    }
    await target.confirm("pr-6", { commit: "b".repeat(40), ttlMs: 1000 });
    const list = await target.list({ usage: true });
    expect(list.map(({ name, running, number }) => [name, running, number])).toEqual([
      ["pr-5", true, 5],
      ["pr-6", true, 6],
    ]);
    expect(list[0]?.lastUp).toBeUndefined();
    expect(list[1]).toMatchObject({ commit: "b".repeat(40), ttlMs: 1000, repository });
    for (const one of list) {
      expect(one.memoryBytes).toBeGreaterThan(1_000_000);
      expect(one.diskBytes).toBeGreaterThan(0);
    }
    const stranger = await localTarget({ repository: "acme/other" });
    expect(await stranger.list({ usage: false })).toEqual([]);
    await Promise.all(["pr-5", "pr-6"].map(async (name) => await target.remove(name)));
    expect(await before.leftovers()).toEqual([]);
  });

  it("has a dashboard beside it where one is wanted, and loses it where not", async () => {
    const context = folder();
    const program = 'FROM standin-base:1\nCMD ["busybox", "httpd", "-f", "-p", "6791", "-h", "/root"]\n';
    writeFileSync(join(context, "Dockerfile"), program);
    await docker("build", "-q", "-t", "dashboard:1", context);
    const repositoryName = "ghcr.io/get-convex/convex-dashboard";
    const digest = await push("dashboard:1", `${repositoryName}:1`);
    const spec = previewSpec("pr-7");
    const target = await localTarget({ dashboardImage: { reference: `${repositoryName}@${digest}`, digest } });
    const applied = await target.apply(spec);
    await expect
      .poll(async () => await systemHttp.request(applied.dashboardUrl ?? "").then(({ status }) => status, String), {
        timeout: 20_000,
      })
      .toBe(404);
    const names = (await docker("ps", "--format", "{{.Names}}")).split("\n").sort();
    expect(names).toEqual([expect.stringMatching(/-pr-7$/), expect.stringMatching(/-pr-7\.dashboard$/)]);
    expect(await inspect(names[1] ?? "", "{{json .Config.Env}}")).toContain(applied.origins.cloud);
    expect((await (await localTarget()).apply(spec)).outcome).toBe("unchanged");
    expect(await docker("ps", "--format", "{{.Names}}")).toBe(names[0]);
    await target.remove("pr-7");
    await docker("rmi", "dashboard:1");
    expect(await before.leftovers()).toEqual([]);
  });
});

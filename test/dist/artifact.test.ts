import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startStandin } from "../standin/standin.ts";
import { FakeArtifacts } from "../support/artifacts.ts";
import type { StepResult } from "../support/job.ts";
import { BackupScene, codeOf } from "./backup-support.ts";

let github: FakeArtifacts;
let chat: BackupScene;
let shop: BackupScene;
let runs = 0;

beforeAll(async () => {
  [github, chat, shop] = await Promise.all([
    new FakeArtifacts().listen(),
    BackupScene.create(1),
    BackupScene.create(1, {}, "shop"),
  ]);
}, 60_000);
afterAll(async () => {
  await Promise.all([chat[Symbol.asyncDispose](), shop[Symbol.asyncDispose](), github[Symbol.asyncDispose]()]);
});

/** Each step is a run of its own: names of artifacts are free again in each. */
const nextRun = (): Readonly<Record<string, string>> => github.env(`run-${++runs}`);
const names = (): string[] => github.artifacts.map(({ name }) => name);
const tokens = (): Record<string, string> => ({ "github-token": github.token });

async function backUp(scene: BackupScene, destination: string, more: Record<string, string> = {}): Promise<string> {
  const { main } = await scene.run({ inputs: { destination, ...tokens(), ...more }, env: nextRun() });
  expect(main.exitCode, main.log).toBe(0);
  return main.outputs.get("backup-id") ?? "";
}

async function restore(scene: BackupScene, source: string, more: Record<string, string> = {}): Promise<StepResult> {
  await using target = await startStandin({ instanceName: "target" }).then((one) => ({
    ...one,
    [Symbol.asyncDispose]: () => one.stop(),
  }));
  const job = await scene.job();
  const inputs = { url: target.url, "admin-key": target.adminKey, source, identity: scene.identity, ...tokens() };
  return await job.action("restore", { inputs: { ...inputs, ...more }, env: nextRun() });
}

describe("artifacts as the place of backups", { timeout: 120_000 }, () => {
  it("keep two deployments of a repository apart by their names; latest is the own one, and so is what retention removes", async () => {
    const first = await backUp(chat, "artifact:chat");
    const second = await backUp(chat, "artifact:chat", { "keep-last": "1" });
    const other = await backUp(shop, "artifact:shop", { "keep-last": "1" });
    expect(names().some((name) => name.includes(first))).toBe(false);
    expect(names()).toContain(`convex-backup~chat~${second}~manifest.json`);
    expect(names()).toContain(`convex-backup~shop~${other}~manifest.json`);

    const step = await restore(chat, "artifact:chat");
    expect(step.exitCode, step.log).toBe(0);
    expect(step.outputs.get("verified")).toBe("true");
    expect(step.summary).toContain(second);
    // The report is an artifact of the run, too: a ZIP with both files.
    const report = github.artifacts.find(({ name }) => name.startsWith("convex-restore-report-"));
    expect(report).toMatchObject({ run: `run-${runs}`, finished: true });
    for (const file of ["report.html", "report.json"]) expect(report?.bytes.includes(file)).toBe(true);
    expect(step.log).toContain(`The report is the artifact ${report?.name} of this run.`);
  });

  it("that deployments share without names are no place to take latest from", async () => {
    for (const scene of [chat, shop]) await backUp(scene, "artifact");
    const refused = await restore(chat, "artifact");
    expect(codeOf(refused), refused.log).toBe("backup-ambiguous");
    expect(refused.log).toContain("artifact:name");
  });

  it("are refused without encryption where everybody could read them", async () => {
    const inputs = { destination: "artifact:chat", encryption: "none", recipients: "", ...tokens() };
    const before = names().length;
    const { main } = await chat.run({ inputs, env: nextRun() });
    expect(codeOf(main), main.log).toBe("input-conflict");
    expect(names()).toHaveLength(before);
  });
});

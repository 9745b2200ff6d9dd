import { generateKeyPairSync } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { maskedForms } from "../../src/runner/mask.ts";
import type { Job, StepResult } from "../support/job.ts";
import { type ProcessInfo, processes } from "../support/processes.ts";
import { FakeBackend } from "../unit/deployment/support.ts";
import { BackupScene, codeOf, SECRET } from "./backup-support.ts";

const pem = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
const HEARTBEAT = "7b9f3c1e-sentinel-4d2a";

let scene: BackupScene;
let good: { readonly job: Job; readonly main: StepResult; readonly post: StepResult };
let bad: typeof good;
const seen: ProcessInfo[] = [];

beforeAll(async () => {
  scene = await BackupScene.create(1, { STANDIN_EXPORT_DELAY_MS: "20" });
  await scene.setVariable("JWT_PRIVATE_KEY", pem);
  await using monitor = await new FakeBackend(() => ({ status: 500 })).listen();
  const watch = setInterval(() => {
    void processes().then((all) => seen.push(...all));
  }, 100);
  const inputs = { "include-env": "true", "heartbeat-url": `${monitor.url}/ping/${HEARTBEAT}` };
  good = await scene.run({ inputs: { ...inputs, destination: "dir:backups" } });
  bad = await scene.run({ inputs: { ...inputs, destination: "dir:no/such/parent" } });
  clearInterval(watch);
}, 240_000);
afterAll(() => scene[Symbol.asyncDispose]());

/** The forms of a variable's value, written out: what is looked for must not follow from the code that masks. */
const VARIABLE_FORMS = [
  'sk-"sentinel" one/two+three??>>~',
  String.raw`sk-\"sentinel\" one/two+three??>>~`,
  "c2stInNlbnRpbmVsIiBvbmUvdHdvK3RocmVlPz8+Pn4=",
  "sk-%22sentinel%22%20one%2Ftwo%2Bthree%3F%3F%3E%3E~",
];

const secrets = (): string[] => [
  ...new Set([
    ...VARIABLE_FORMS,
    ...[SECRET, pem, scene.standin.adminKey, scene.standin.adminKey.split("|")[1] ?? "", HEARTBEAT].flatMap(
      maskedForms,
    ),
    ...maskedForms(scene.identity),
  ]),
];
const printed = (step: StepResult): string => step.log.replace(/^::add-mask::.*$/gm, "");
const found = (text: string): string[] => secrets().filter((form) => text.includes(form));

describe("secrets of a backup", () => {
  it("the jobs went as they should, so that there is something to look for", () => {
    expect(good.main.exitCode, good.main.log).toBe(0);
    expect(good.main.log).toMatch(/heartbeat-url: .* did not take the ping/);
    expect(codeOf(bad.main), bad.main.log).toBe("store-missing");
    expect(secrets().length).toBeGreaterThan(40);
  });

  it.each<[string, () => string]>([
    ["the log, even before masks", () => [good, bad].map(({ main, post }) => printed(main) + printed(post)).join("\n")],
    ["the summary", () => [good, bad].map(({ main, post }) => main.summary + post.summary).join("\n")],
    ["the state", () => [good, bad].flatMap(({ job }) => [...job.state().values()]).join("\n")],
    ["the outputs", () => [...good.main.outputs.values()].join("\n")],
    ["a command line", () => seen.flatMap(({ argv }) => argv).join("\n")],
  ])("are not in %s", (_, text) => {
    expect(text().length).toBeGreaterThan(20);
    expect(found(text())).toEqual([]);
  });

  it("are in no file of the job, nor readable in the destination", async () => {
    const folders = [good.job.directory, bad.job.directory, scene.workspace];
    let files = 0;
    for (const folder of folders) {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        files += 1;
        const path = join(entry.parentPath, entry.name);
        expect(found(await readFile(path, "latin1")), path).toEqual([]);
        if (path.startsWith(scene.workspace)) expect((await stat(path)).mode & 0o077, path).toBe(0);
      }
    }
    expect(files).toBeGreaterThan(5);
  });

  it("are masked where they are inputs", () => {
    for (const form of [scene.standin.adminKey, HEARTBEAT]) expect(good.main.masks).toContain(form);
  });
});

/** What the bundle of the preview action tells of its secrets: to a host that is not there, and to GitHub. */
import { generateKeyPairSync } from "node:crypto";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueAdminKey } from "../../src/credentials/admin-key.ts";
import { deriveInstanceSecret } from "../../src/preview/credentials.ts";
import { maskedForms } from "../../src/runner/mask.ts";
import { GitHubApi } from "../support/github/api.ts";
import { Job, type StepResult } from "../support/job.ts";
import { type ProcessInfo, processes } from "../support/processes.ts";
import { chatApp } from "./support.ts";

const pem = (): string =>
  generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const TOKEN = "ghs_sentinelTokenOfTheJob0123456789";
const COMMIT = "1234567890".repeat(4);
const SECRETS = {
  preview: "sentinel-preview-secret-0123456789abcdef01234567",
  ssh: pem(),
  jwt: pem(),
  all: 'sk-"sentinel" one/two+three??>>~',
  one: "sentinel-of-the-step-4711",
  database: "sentinel-p@ssword",
};
const instanceSecret = deriveInstanceSecret(
  { from: "preview-secret", text: SECRETS.preview },
  { repository: "acme/chat", name: "pr-12" },
);
const adminKey = issueAdminKey({ instanceName: "pr-12", instanceSecret });

let github: GitHubApi;
let app: string;
let job: Job;
let runs: readonly StepResult[];
const seen: ProcessInfo[] = [];

beforeAll(async () => {
  [github, app] = await Promise.all([new GitHubApi(TOKEN, { repository: "acme/chat" }).listen(), chatApp()]);
  github.state.open(12, { commit: COMMIT });
  job = await Job.create(app);
  const event = join(job.directory, "event.json");
  const head = { sha: COMMIT, ref: "topic", repo: { full_name: "acme/chat" } };
  const pull = { number: 12, state: "open", draft: false, labels: [], user: { login: "ada" }, head };
  await writeFile(event, JSON.stringify({ action: "opened", sender: { login: "ada" }, pull_request: pull }));
  const watch = setInterval(() => {
    void processes().then((all) => seen.push(...all));
  }, 100);
  const run = async (inputs: Readonly<Record<string, string>>): Promise<StepResult[]> => {
    const env = {
      GITHUB_EVENT_NAME: "pull_request",
      GITHUB_EVENT_PATH: event,
      GITHUB_API_URL: github.url,
      ONE: SECRETS.one,
    };
    const main = await job.action("preview", {
      inputs: {
        domain: "{name}.preview.example.com",
        "preview-secret": SECRETS.preview,
        "github-token": TOKEN,
        auth: "convex-auth",
        "jwt-private-key": SECRETS.jwt,
        "env-secrets": `ALL='${SECRETS.all}'`,
        "env-names": "ONE",
        "postgres-url": `postgresql://user:${encodeURIComponent(SECRETS.database)}@db.example.com:5432`,
        ...inputs,
      },
      env,
    });
    return [main, await job.action("preview-post", { env })];
  };
  runs = [
    ...(await run({ host: `unix://${job.directory}/nothing.sock` })),
    ...(await run({
      host: "ssh://nobody@127.0.0.1:9",
      "ssh-key": SECRETS.ssh,
      "known-hosts": "[127.0.0.1]:9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    })),
  ];
  clearInterval(watch);
}, 240_000);
afterAll(async () => {
  await github[Symbol.asyncDispose]();
  await job.remove();
  await rm(app, { recursive: true, force: true });
});

/** What a runner would show: mask commands are taken out by it, everything else is printed. */
const printed = (step: StepResult): string => step.log.replace(/^::add-mask::.*$/gm, "");
const forms = (): string[] => [
  ...new Set([...Object.values(SECRETS), TOKEN, instanceSecret, adminKey].flatMap(maskedForms)),
];
const found = (text: string): string[] => forms().filter((form) => text.includes(form));

describe("secrets of a preview", () => {
  it("were all read, by runs that failed only at the host and told GitHub so", () => {
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([1, 0, 1, 0]);
    for (const { log } of runs.filter(({ exitCode }) => exitCode === 1))
      expect(log).toMatch(/^::error.*\[(docker|engine|ssh)-/m);
    expect(github.comments.map(({ body }) => body)).toEqual([expect.stringContaining("No preview of `1234567`")]);
    expect(github.defects).toEqual([]);
  });
  it("are masked, with what is derived from them", () => {
    for (const secret of [...Object.values(SECRETS), TOKEN, instanceSecret]) {
      const masks = secret === SECRETS.ssh ? (runs[2]?.masks ?? []) : (runs[0]?.masks ?? []);
      expect(
        maskedForms(secret).filter((form) => !masks.includes(form)),
        secret.slice(0, 20),
      ).toEqual([]);
    }
  });
  it.each<[string, () => string]>([
    ["a log, even before masks", () => runs.map(printed).join("\n")],
    ["a summary", () => runs.map(({ summary }) => summary).join("\n")],
    ["the state", () => [...job.state()].join("\n")],
    ["the outputs", () => runs.map(({ outputs }) => [...outputs].join("\n")).join("\n")],
    ["a command line", () => seen.flatMap(({ argv }) => argv).join("\n")],
    ["what GitHub is told", () => JSON.stringify([github.comments, github.state.deployments])],
  ])("are not in %s", (_, text) => {
    expect(text().length).toBeGreaterThan(10);
    expect(found(text())).toEqual([]);
  });
  it("are in no file that is left", async () => {
    for (const entry of await readdir(job.directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      expect(found(await readFile(path, "latin1")), path).toEqual([]);
      expect((await stat(path)).size, path).toBeLessThan(1024 * 1024);
    }
  });
});

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { maskedForms } from "../../src/runner/mask.ts";
import { Job, type StepResult } from "../support/job.ts";
import { type ProcessInfo, processes, processesOf } from "../support/processes.ts";
import { chatApp, standin } from "./support.ts";

const secrets = {
  instance: randomBytes(32).toString("hex"),
  variable: 'sk-"sentinel" one/two+three??>>~',
  pem: generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs1", format: "pem" })
    .toString(),
};

/** The forms of `variable`, written out: what is looked for must not follow from the code that masks. */
const VARIABLE_FORMS = [
  'sk-"sentinel" one/two+three??>>~',
  String.raw`sk-\"sentinel\" one/two+three??>>~`,
  String.raw`sk-\\\"sentinel\\\" one/two+three??>>~`,
  "c2stInNlbnRpbmVsIiBvbmUvdHdvK3RocmVlPz8+Pn4=",
  "c2stInNlbnRpbmVsIiBvbmUvdHdvK3RocmVlPz8-Pn4",
  "sk-%22sentinel%22%20one%2Ftwo%2Bthree%3F%3F%3E%3E~",
];

/** What a runner would show: mask commands are taken out by it, everything else is printed. */
const printed = (step: StepResult): string => step.log.replace(/^::add-mask::.*$/gm, "");

let app: string;
let job: Job;
let main: StepResult;
let post: StepResult;
const seen = new Map<number, ProcessInfo>();

beforeAll(async () => {
  const [executable, project] = await Promise.all([standin(), chatApp()]);
  app = project;
  job = await Job.create(app);
  const watch = setInterval(() => {
    void processes().then((all) => {
      for (const info of all) seen.set(info.pid, info);
    });
  }, 50);
  main = await job.action("start", {
    inputs: {
      runtime: "binary",
      "binary-path": executable,
      port: "0",
      "site-port": "0",
      "instance-secret": secrets.instance,
      "env-names": "OPENAI_API_KEY",
      auth: "convex-auth",
      "app-url": "http://localhost:5173",
      "jwt-private-key": secrets.pem,
      run: 'seed:basic {"rooms": 3}',
      logs: "always",
    },
    env: { OPENAI_API_KEY: secrets.variable },
  });
  post = await job.action("stop", { inputs: { "job-status": "failure" } });
  clearInterval(watch);
}, 90_000);

afterAll(async () => {
  for (const { pid } of await processesOf(job.directory)) process.kill(pid, "SIGKILL");
  await job.remove();
  await rm(app, { recursive: true, force: true });
});

/** Every secret, with the derived ones of the run, in every form that is masked. */
function forms(): string[] {
  const adminKey = main.outputs.get("admin-key") ?? "";
  const made = [adminKey, adminKey.split("|")[1] ?? "", main.outputs.get("jwt-private-key") ?? ""];
  return [...new Set([...VARIABLE_FORMS, ...[...Object.values(secrets), ...made].flatMap(maskedForms)])];
}

describe("secrets of a whole job", () => {
  it("the job itself went well, so that there is something to look for", () => {
    expect(main.exitCode, main.log).toBe(0);
    expect(post.exitCode, post.log).toBe(0);
    expect(forms().length).toBeGreaterThan(20);
  });
  it("are masked, each of them in every form", () => {
    expect(forms().filter((form) => !main.masks.includes(form))).toEqual([]);
  });
  it.each(VARIABLE_FORMS)("are masked as %s too", (form) => {
    expect(main.masks).toContain(form);
  });
  it.each<[string, () => string]>([
    ["the log of the main step, even before masks", () => printed(main)],
    ["the log of the post step, even before masks", () => printed(post)],
    ["the summary", () => main.summary + post.summary],
    ["the state", () => [...job.state().values()].join("\n")],
  ])("are not in %s", (_, text) => {
    expect(forms().filter((form) => text().includes(form))).toEqual([]);
  });
  it("are in no command line but the backend's own --instance-secret", () => {
    const found = [...seen.values()].flatMap(({ argv }) =>
      argv.filter((word, at) => forms().some((form) => word.includes(form)) && argv[at - 1] !== "--instance-secret"),
    );
    expect(found).toEqual([]);
  });
  it("are in no file that others can read", async () => {
    const entries = await readdir(job.directory, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name);
      // The runner's own command files hold the outputs; it keeps them to itself.
      if (/step-\d+\/(OUTPUT|ENV)$/.test(path) || ((await stat(path)).mode & 0o077) === 0) continue;
      const text = await readFile(path, "utf8");
      expect(
        forms().filter((form) => text.includes(form)),
        path,
      ).toEqual([]);
    }
  });
});

/** Reusable workflows, their callers, and the actions they call agree with each other, and keep the rules of docs/threat-model.md. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { askedBy } from "../../bin/readme.ts";
import { parseConnection } from "../../src/deployment/connection-lines.ts";
import { parseSettings } from "../../src/platform/settings.ts";
import { scratch } from "../support/scratch.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

type Fields = Readonly<Record<string, unknown>>;

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Fields;
  readonly env?: Fields;
}

interface Job {
  readonly "runs-on"?: string;
  readonly "timeout-minutes"?: unknown;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
  readonly uses?: string;
  readonly with?: Fields;
  readonly secrets?: "inherit" | Fields;
  readonly steps?: readonly Step[];
}

interface Entry {
  readonly description?: string;
  readonly type?: string;
  readonly required?: boolean;
  readonly default?: unknown;
}

interface Workflow {
  readonly on: {
    readonly workflow_call?: {
      readonly inputs?: Readonly<Record<string, Entry>>;
      readonly secrets?: Readonly<Record<string, Entry>>;
      readonly outputs?: Readonly<Record<string, Entry>>;
    };
  } & Fields;
  readonly permissions?: Fields;
  readonly concurrency?: { readonly group: string };
  readonly jobs: Readonly<Record<string, Job>>;
}

const yamlIn = (folder: string): string[] => readdirSync(join(root, folder)).filter((name) => name.endsWith(".yml"));
const workflow = (path: string): Workflow => parse(read(path)) as Workflow;

const REUSABLE = yamlIn(".github/workflows")
  .map((name) => `.github/workflows/${name}`)
  .filter((path) => "workflow_call" in workflow(path).on);
const TEMPLATES = yamlIn("workflows-templates").map((name) => `workflows-templates/${name}`);
const OURS = /^convex-selfhost\/action(?:\/([\w-]+))?@/;

const used = (text: string, context: string): Set<string> =>
  new Set([...text.matchAll(new RegExp(`\\b${context}\\.([\\w-]+)`, "g"))].map(([, name]) => name ?? ""));
const stepsOf = (path: string): Step[] => Object.values(workflow(path).jobs).flatMap(({ steps }) => steps ?? []);

describe.each(REUSABLE)("%s", (path) => {
  const text = read(path);
  const { on, permissions, jobs } = workflow(path);
  const { inputs = {}, secrets = {}, outputs = {} } = on.workflow_call ?? {};

  it("can be called only", () => {
    expect(Object.keys(on)).toEqual(["workflow_call"]);
  });

  it("describes all inputs, secrets and outputs, and types the inputs", () => {
    for (const [name, entry] of Object.entries({ ...inputs, ...secrets, ...outputs }))
      expect(entry.description, name).toMatch(/^.{10,}\.$/);
    for (const [name, { type, required, ...rest }] of Object.entries(inputs)) {
      expect(["string", "boolean", "number"], name).toContain(type);
      expect(required === true || "default" in rest, name).toBe(true);
    }
  });

  it("uses what it declares, and declares what it uses", () => {
    expect([...used(text, "inputs")].sort()).toEqual(Object.keys(inputs).sort());
    expect([...used(text, "secrets")].sort()).toEqual(Object.keys(secrets).sort());
  });

  it("demands no secret, since those of an environment are not there yet when it is called", () => {
    for (const [name, secret] of Object.entries(secrets)) expect(secret.required, name).toBe(false);
  });

  it("states the permissions, the time limit and the runner of each job, and gives none to all", () => {
    expect(permissions).toEqual({});
    for (const job of Object.values(jobs)) {
      expect(job.permissions).toBeDefined();
      expect(job["timeout-minutes"]).toMatch(/^\$\{\{ inputs\.timeout-minutes \}\}$/);
      expect(job["runs-on"]).toMatch(/^\$\{\{ inputs\.runs-on \}\}$/);
    }
  });

  it("has no concurrency group by the workflow's name, which is the caller's here", () => {
    for (const { concurrency } of Object.values(jobs)) {
      if (concurrency === undefined) continue;
      expect(concurrency.group).toMatch(/^convex-[a-z-]+-\$\{\{/);
      expect(concurrency.group).not.toContain("github.workflow");
      expect(concurrency["cancel-in-progress"]).toBe(false);
    }
  });

  it("puts nothing of inputs, refs or events into a script: they go by the environment", () => {
    for (const { run } of stepsOf(path)) expect(run ?? "").not.toContain("${{");
  });

  it("uses stored keys of AWS only where no role is given: it would not count otherwise", () => {
    const uses = [...text.matchAll(/^.*secrets\.AWS_.*$/gm)].map(([line]) => line.trim());
    for (const line of uses) {
      const [name = ""] = line.split(":");
      expect(line).toBe(`${name}: \${{ inputs.aws-role == '' && secrets.${name} || env.${name} }}`);
    }
    expect(uses.length > 0).toBe("AWS_ACCESS_KEY_ID" in secrets);
  });

  it("passes on the connection and the key as they are: which of the two counts is the action's to judge", () => {
    const given = (input: string): (string | undefined)[] =>
      [...text.matchAll(new RegExp(`^ +${input}: (.*)$`, "gm"))].map(([, value]) => value);
    const keys = given("admin-key");
    expect(new Set(keys)).toEqual(new Set("CONVEX_ADMIN_KEY" in secrets ? [`\${{ secrets.CONVEX_ADMIN_KEY }}`] : []));
    expect(given("connection")).toEqual(keys.map(() => `\${{ secrets.CONVEX_CONNECTION }}`));
    // A connection with an INSTANCE_SECRET does it: no workflow makes keys beside it.
    expect(text).not.toContain("INSTANCE_SECRET:");
  });

  it("leaves no credentials in the checkout", () => {
    for (const step of stepsOf(path).filter(({ uses }) => uses?.startsWith("actions/checkout@") === true))
      expect(step.with?.["persist-credentials"]).toBe(false);
  });

  it("needs no file of ours in the caller's repository", () => {
    for (const { uses = "" } of stepsOf(path)) expect(uses).not.toMatch(/^\.\//);
  });

  it("gives our actions inputs that they have, and reads outputs that they have", () => {
    const byId = new Map<unknown, string>();
    for (const step of stepsOf(path)) {
      const match = OURS.exec(step.uses ?? "");
      if (match === null) continue;
      const action = parse(read(join(match[1] ?? ".", "action.yml"))) as Record<"inputs" | "outputs", Fields>;
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step.with ?? {})));
      byId.set((step as Fields)["id"], Object.keys(action.outputs).join(" "));
    }
    for (const [, id, name = ""] of text.matchAll(/steps\.([\w-]+)\.outputs\.([\w-]+)/g)) {
      const known = byId.get(id);
      if (known !== undefined) expect(known.split(" "), `${id}.${name}`).toContain(name);
    }
  });
});

describe("the workflow for deploys", () => {
  it("gives the identity of the backups to no job that runs the repository's code", () => {
    let found = 0;
    for (const { permissions: own = {}, steps = [] } of Object.values(workflow(".github/workflows/deploy.yml").jobs)) {
      if (!steps.some(({ uses }) => uses?.startsWith("actions/checkout@") === true)) continue;
      found += 1;
      expect(own).toEqual({ contents: "read" });
      for (const { env = {} } of steps) expect(Object.keys(env).filter((name) => name.startsWith("AWS_"))).toEqual([]);
    }
    expect(found).toBe(1);
  });
});

describe.each(TEMPLATES)("%s", (path) => {
  const text = read(path);
  const { permissions, concurrency, jobs } = workflow(path);
  const [job, ...otherCallers] = Object.values(jobs).filter(({ uses }) => uses !== undefined);
  const own = Object.values(jobs).filter(({ steps }) => steps !== undefined);
  const called = /^convex-selfhost\/action\/(\.github\/workflows\/[\w-]+\.yml)@v1$/.exec(job?.uses ?? "")?.[1];
  const head = text.slice(0, text.search(/^name: /m));
  const code = text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n");

  it("calls one reusable workflow by the major tag", () => {
    expect(otherCallers).toEqual([]);
    expect(own.length).toBe(Object.keys(jobs).length - 1);
    expect(REUSABLE).toContain(called);
  });

  it("gives inputs that it has, those in comments too", () => {
    const { inputs = {} } = workflow(called ?? "").on.workflow_call ?? {};
    const commented = [...text.matchAll(/^ {6}# ([a-z0-9-]+): /gm)].map(([, name]) => name ?? "");
    for (const name of [...Object.keys(job?.with ?? {}), ...commented]) expect(Object.keys(inputs)).toContain(name);
    for (const [name, { required }] of Object.entries(inputs))
      if (required === true) expect(Object.keys(job?.with ?? {})).toContain(name);
  });

  it("grants exactly the permissions that the called jobs ask for, and none to all", () => {
    const asked = Object.assign({}, ...Object.values(workflow(called ?? "").jobs).map((one) => one.permissions));
    expect(permissions).toEqual({});
    expect(job?.permissions).toEqual(asked);
  });

  it("passes on the secrets that it takes: all by name, or inherited where an environment has them", () => {
    const { secrets = {} } = workflow(called ?? "").on.workflow_call ?? {};
    const given = job?.secrets ?? {};
    if (given === "inherit") expect(job?.with).toHaveProperty("environment");
    else expect(Object.keys(given).sort()).toEqual(Object.keys(secrets).sort());
  });

  it("says what to fill in: every variable and every secret without which it does nothing", () => {
    expect(head).toMatch(/^# Fill in/m);
    const needed = new Set(used(read(called ?? ""), "vars"));
    // They have defaults, or are for a backup that a deploy makes only when it is asked to.
    for (const name of ["CONVEX_SITE_URL", "CONVEX_BACKUPS"]) needed.delete(name);
    if (called?.endsWith("/deploy.yml") === true) needed.delete("CONVEX_BACKUP_RECIPIENTS");
    if (job?.with?.["url"] !== undefined) needed.delete("CONVEX_URL");
    for (const name of [...needed, ...used(code, "vars"), ...used(code, "secrets")]) {
      // Its use is explained where it is passed on.
      expect(name === "CONVEX_ENV" ? text : head, name).toContain(name);
    }
  });

  it("asks for two values at most, a platform's own among them", () => {
    const numbers = [...head.matchAll(/^# {3}(\d+)\. /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    const asked = askedBy(text);
    expect(asked.length).toBeLessThanOrEqual(2);
    // Each number is one value: the table of docs/workflows.md counts the names, and nothing else is a list of them.
    expect(asked.length).toBe(numbers.length);
    for (const name of asked) expect(code + read(called ?? ""), name).toContain(name);
  });

  it("has no concurrency group by the workflow's name alone", () => {
    for (const one of [concurrency, ...own.map((each) => each.concurrency)])
      expect(one?.group ?? "").not.toContain("github.workflow");
  });

  it("has jobs of its own only with a time limit, stated permissions, and nothing of others in a script", () => {
    for (const each of own) {
      expect(each["timeout-minutes"]).toBeTypeOf("number");
      expect(each.permissions).toBeDefined();
      expect(each.concurrency?.["cancel-in-progress"] ?? false).toBe(false);
      for (const { run } of each.steps ?? []) expect(run ?? "").not.toContain("${{");
    }
  });

  it("gives our actions in them inputs that they have, and reads outputs that they have", () => {
    for (const step of own.flatMap(({ steps }) => steps ?? [])) {
      const folder = OURS.exec(step.uses ?? "")?.[1];
      if (folder === undefined) continue;
      const action = parse(read(join(folder, "action.yml"))) as Record<"inputs" | "outputs", Fields>;
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step.with ?? {})));
      const outputs = [
        ...code.matchAll(new RegExp(`steps\\.${String((step as Fields)["id"])}\\.outputs\\.([\\w-]+)`, "g")),
      ];
      for (const [, name] of outputs) expect(Object.keys(action.outputs)).toContain(name);
    }
  });

  it("is described for the list of starter workflows", () => {
    const properties = JSON.parse(read(path.replace(/\.yml$/, ".properties.json"))) as Fields;
    expect(properties).toMatchObject({
      name: expect.stringMatching(/^Convex /),
      description: expect.stringMatching(/\.$/),
      iconName: expect.stringMatching(/^octicon [a-z-]+$/),
      categories: expect.arrayContaining([expect.any(String)]),
    });
  });
});

describe("the commands that make the secret of a platform's template", () => {
  const SECRET = "5e".repeat(32);
  const made = TEMPLATES.flatMap((path) =>
    [...read(path).matchAll(/^# +(\(set -C; .*\)(?: &&\n# +gh secret set .*)?)$/gm)].map(
      ([, command = ""]) => [path, command.replaceAll(/\n# +/g, "\n")] as const,
    ),
  );

  it("are there", () => {
    expect(made.map(([path]) => path.replace(/^.*convex-|\.yml$/g, ""))).toEqual([
      ...["ec2", "fly", "kubernetes", "neon", "railway"],
    ]);
  });

  it.each(made)(
    "%s: write lines that every action takes, for their owner alone, and never over a file",
    async (_, text) => {
      const home = await scratch("commands");
      const file = join(home, "convex.env");
      // openssl and gh are not on every machine that runs this; the rest is as a person copies it.
      const command = text.replace("$(openssl rand -hex 32)", SECRET).replaceAll(/(?<=[<>])(~|\/etc)\//g, `${home}/`);
      const gh = "gh() { [ \"$*\" = 'secret set CONVEX_CONNECTION --env production' ] && cat >sent; }";
      const copied = (): Buffer => execFileSync("bash", ["-c", `${gh}\n${command}`], { cwd: home, stdio: "pipe" });
      copied();
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const lines = readFileSync(file, "utf8");
      expect(parseConnection(lines).key).toEqual({ instanceName: "convex-self-hosted", instanceSecret: SECRET });
      expect(parseSettings(lines)).toMatchObject({
        instanceSecret: SECRET,
        cloudOrigin: lines.includes("CLOUD_ORIGIN") ? "https://api.example.com" : undefined,
        postgresUrl: lines.includes("POSTGRES") ? "postgresql://user:password@host/neondb?sslmode=require" : undefined,
      });
      const sent = join(home, "sent");
      if (text.includes("gh secret set")) expect(readFileSync(sent, "utf8")).toBe(lines);
      // A second backend: the first one's settings are neither overwritten nor sent for it.
      rmSync(sent, { force: true });
      expect(copied).toThrow();
      expect(readFileSync(file, "utf8")).toBe(lines);
      expect(existsSync(sent)).toBe(false);
    },
  );
});

describe("the template for Neon", () => {
  it("brings the app up as the one for Fly.io does, and makes the database before", () => {
    const stepsIn = (name: string): (Step & { readonly name?: string })[] => [
      ...(workflow(`workflows-templates/${name}`).jobs["backend"]?.steps ?? []),
    ];
    const [fly, neon] = [stepsIn("convex-fly.yml"), stepsIn("convex-neon.yml")];
    expect(neon[0]?.with?.["create-database"]).toBe(true);
    expect(neon).toEqual(
      fly.map((step, i) => (i === 0 ? { ...step, with: { ...step.with, "create-database": true } } : step)),
    );
  });
});

describe("heartbeats", () => {
  it("are one for each schedule: two that feed one monitor hide each other's silence", () => {
    const names = REUSABLE.flatMap((path) => [...used(read(path), "secrets")].filter((name) => /HEARTBEAT/.test(name)));
    expect(names.length).toBeGreaterThan(1);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("the templates", () => {
  it("are one for each reusable workflow", () => {
    const called = new Set(TEMPLATES.flatMap((path) => Object.values(workflow(path).jobs).map(({ uses }) => uses)));
    for (const path of REUSABLE) expect([...called]).toContain(`convex-selfhost/action/${path}@v1`);
  });
});

/** Runs the templates that bring a backend up on a platform; its command line is played by test/recorder. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { authVariables, generateAuthKeys } from "../../src/credentials/auth-keys.ts";
import { type ActOptions, type ActRun, act, makeProject } from "./harness/act.ts";
import { type Deployment, startDeployment } from "./harness/deployment.ts";
import { root } from "./harness/tools.ts";
import { world } from "./harness/world.ts";

/** What a platform's command line was asked. */
export interface Call {
  /** `flyctl apps list` */
  readonly command: string;
  readonly options: Readonly<Record<string, string | true | readonly string[]>>;
  readonly operands: readonly string[];
  /** Base name → content of the files that options name. */
  readonly files: Readonly<Record<string, string>>;
  readonly stdin: string;
}

interface Answer {
  readonly stdout?: string;
  readonly exit?: number;
}

export interface PlatformRun {
  readonly run: ActRun;
  readonly calls: readonly Call[];
  /** The calls of one command. */
  of(command: string): readonly Call[];
}

export interface PlatformOptions extends Pick<ActOptions, "secrets" | "vars" | "env"> {
  readonly answers?: Readonly<Record<string, Answer | readonly Answer[]>>;
  readonly event?: "push" | "workflow_dispatch";
}

/** As Neon shows it; what the backend gets of it is `POSTGRES`. */
export const NEON =
  "postgresql://alex:pw-sentinel-4711@ep-cool-a1-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require";
export const POSTGRES = "postgresql://alex:pw-sentinel-4711@ep-cool-a1.eu-central-1.aws.neon.tech";

/** Files in S3, as the lines of a connection and as the platforms get them. */
export const S3 = [
  "AWS_REGION=eu-central-1",
  ...["FILES", "MODULES", "SEARCH", "EXPORTS", "SNAPSHOT_IMPORTS"].map(
    (name) => `S3_STORAGE_${name}_BUCKET=acme-files`,
  ),
  "AWS_ACCESS_KEY_ID=AKIASENTINEL0001",
  "AWS_SECRET_ACCESS_KEY=s3/sentinel+4711==",
];

/** The secrets for the functions, when the address of the connection leads to no backend here. */
const SECRETS_HERE = `$1secrets:
$1  CONVEX_CONNECTION: $\${{ secrets.CONNECTION_HERE }}
$1  CONVEX_ENV: $\${{ secrets.CONVEX_ENV }}`;

/** The deployment that stands for what the platform runs, and runs of the templates that deploy to it. */
export class Platforms implements AsyncDisposable {
  readonly production: Deployment;
  readonly secrets: Readonly<Record<string, string>>;
  readonly #project: string;

  private constructor(production: Deployment, secrets: Readonly<Record<string, string>>, project: string) {
    this.production = production;
    this.secrets = secrets;
    this.#project = project;
  }

  static async start(port: number): Promise<Platforms> {
    const production = await startDeployment({ name: "convex-self-hosted", port });
    const keys = authVariables(await generateAuthKeys(), { siteOrigin: production.siteUrl });
    const lines = Object.entries(keys).map(([name, value]) => `${name}='${value}'`);
    const secrets = {
      CONVEX_ENV: ["GREETING=hello-sentinel", "OPENAI_API_KEY=sk-sentinel-0815", ...lines].join("\n"),
    };
    return new Platforms(production, secrets, await makeProject("examples/chat"));
  }

  /** The secret CONVEX_CONNECTION of that deployment, with lines of its own. */
  connection(...lines: readonly string[]): string {
    return [...lines, `INSTANCE_SECRET=${this.production.instanceSecret}`, ""].join("\n");
  }

  /**
   * A template as it is, but for two things that need the Internet: the functions go to the deployment here instead of the
   * address that was worked out (`url`, and a line of the secret that names it), and Railway's command line is there already.
   */
  async run(template: string, options: PlatformOptions = {}): Promise<PlatformRun> {
    const folder = mkdtempSync(join(world().scratch, "platform-"));
    const secrets = { CONVEX_CONNECTION: this.connection(), ...this.secrets, ...options.secrets };
    const here = secrets.CONVEX_CONNECTION.replace(/^CONVEX_(CLOUD|SITE)_ORIGIN=.*\n/gm, "");
    const yaml = readFileSync(join(root, "workflows-templates", template), "utf8")
      .replace(/^( +)secrets: inherit$/m, here === secrets.CONVEX_CONNECTION ? "$&" : SECRETS_HERE)
      .replace(/^( +)url: \$\{\{ needs\.backend\.outputs\.url \}\}$/m, "$1url: $${{ vars.CONVEX_URL }}")
      .replace(/npm install --global @railway\/cli@[\d.]+/, "command -v railway");
    const [workflow, answers, log] = [join(folder, template), join(folder, "answers.json"), join(folder, "calls")];
    writeFileSync(workflow, yaml);
    writeFileSync(answers, JSON.stringify(options.answers ?? {}));
    const run = await act({
      ...{ project: this.#project, workflow, timeoutMs: 280_000 },
      event: { name: options.event ?? "workflow_dispatch", payload: {} },
      vars: { CONVEX_URL: this.production.url, CONVEX_SITE_URL: this.production.siteUrl, ...options.vars },
      secrets: { ...secrets, CONNECTION_HERE: here },
      env: { RECORDER_LOG: log, RECORDER_ANSWERS: answers, ...options.env },
    });
    const text = existsSync(log) ? readFileSync(log, "utf8").trim() : "";
    const calls = text === "" ? [] : text.split("\n").map((line) => JSON.parse(line) as Call);
    return { run, calls, of: (command) => calls.filter((call) => call.command === command) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.production[Symbol.asyncDispose]();
  }
}

/** The functions were deployed and the deployment examined, by the key that was made in the job. */
export const deployed = (run: ActRun): boolean =>
  run.outputs("deploy")["deployed"] === "true" && run.outputs("doctor")["ok"] === "true";

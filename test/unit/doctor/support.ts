import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProject } from "../../../src/deployment/project.ts";
import { push } from "../../../src/deployment/push.ts";
import { examineDeployment } from "../../../src/doctor/doctor.ts";
import type { Finding, Level } from "../../../src/doctor/finding.ts";
import type { DeploymentInputs } from "../../../src/doctor/inputs.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { type Http, systemHttp } from "../../../src/system/http.ts";
import type { Standin } from "../../standin/standin.ts";
import { directoryWith, fakeDeps } from "../deployment/support.ts";

const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));

/** An app that is its own issuer; without `http` it serves no discovery document. */
export const AUTH_CONFIG =
  'export default { providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }] };\n';
export const HTTP = `import { httpActionGeneric as httpAction, httpRouter } from "convex/server";
const http = httpRouter();
const site = () => process.env.CONVEX_SITE_URL;
http.route({ method: "GET", path: "/.well-known/openid-configuration", handler: httpAction(async () =>
  Response.json({ issuer: site(), jwks_uri: site() + "/.well-known/jwks.json", authorization_endpoint: site() + "/authorize" })) });
http.route({ method: "GET", path: "/.well-known/jwks.json", handler: httpAction(async () => new Response(process.env.JWKS)) });
export default http;
`;

/** A project with the CLI in it. */
export async function project(files: Readonly<Record<string, string>>): Promise<AsyncDisposable & { path: string }> {
  const manifest = JSON.stringify({ type: "module", dependencies: { convex: "1.48.0" } });
  const directory = await directoryWith({ "package.json": manifest, "convex/tsconfig.json": "{}", ...files });
  symlinkSync(MODULES, join(directory.path, "node_modules"));
  return directory;
}

export async function deployApp(standin: Standin, files: Readonly<Record<string, string>>): Promise<void> {
  await using app = await project(files);
  await push(fakeDeps({ clock: systemClock }), {
    project: await findProject(app.path),
    url: standin.url,
    adminKey: standin.adminKey,
    typecheck: "disable",
    codegen: "disable",
    repositoryRoot: app.path,
  });
}

/** What the doctor finds at a deployment. */
export async function findingsOf(
  inputs: Partial<DeploymentInputs> & Pick<DeploymentInputs, "url" | "adminKey">,
  deps: Partial<Deps> = {},
): Promise<readonly Finding[]> {
  const all: DeploymentInputs = {
    siteUrl: undefined,
    dashboardUrl: undefined,
    workingDirectory: undefined,
    caFile: undefined,
    ...inputs,
  };
  return await examineDeployment(all, fakeDeps({ clock: systemClock, env: { GITHUB_WORKSPACE: tmpdir() }, ...deps }));
}

export const at = (standin: Standin): Pick<DeploymentInputs, "url" | "adminKey" | "siteUrl"> => ({
  url: standin.url,
  adminKey: standin.adminKey,
  siteUrl: standin.siteUrl,
});

/** The findings of one check. */
export const of = (findings: readonly Finding[], check: string): readonly Finding[] =>
  findings.filter((finding) => finding.check === check);

/** `level check` of all that is not ok; `checks` alone when given. */
export const trouble = (findings: readonly Finding[], levels: readonly Level[] = ["error", "warning"]): string[] =>
  findings.filter(({ level }) => levels.includes(level)).map(({ level, check }) => `${level} ${check}`);

/** Names that resolve nowhere, answered by servers on the loopback. */
export function hosts(map: Readonly<Record<string, string>>): Http {
  const to = (url: string): string => {
    const { origin } = new URL(url);
    const real = map[origin];
    return real === undefined ? url : real + url.slice(origin.length);
  };
  return {
    request: (url, options) => systemHttp.request(to(url), options),
    stream: (url, options) => systemHttp.stream(to(url), options),
  };
}

/** Changes what a backend says of itself, as the dashboard's settings do. */
export async function setOrigin(standin: Standin, which: "convexCloud" | "convexSite", url: string): Promise<void> {
  const answer = await fetch(`${standin.url}/api/v1/update_canonical_url`, {
    method: "POST",
    headers: { authorization: `Convex ${standin.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ requestDestination: which, url }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

export async function setVariables(standin: Standin, variables: Readonly<Record<string, string>>): Promise<void> {
  const changes = Object.entries(variables).map(([name, value]) => ({ name, value }));
  const answer = await fetch(`${standin.url}/api/update_environment_variables`, {
    method: "POST",
    headers: { authorization: `Convex ${standin.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ changes }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

/** An authority of its own with openssl, and certificates by it. */
export class Authority implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "authority-"));

  constructor() {
    const days = ["-days", "400"];
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.#path("ca.key")];
    this.#openssl("req", "-x509", ...key, "-out", this.caFile, "-subj", "/CN=Test authority", ...days);
  }

  get caFile(): string {
    return this.#path("ca.pem");
  }

  /** @param name as in `subjectAltName`: `IP:127.0.0.1`, `DNS:other.example`; `days` below 0 is expired */
  issue(name: string, days: number): Readonly<Record<string, string>> {
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.#path("key.pem")];
    this.#openssl("req", ...key, "-out", this.#path("request.pem"), "-subj", "/CN=leaf");
    writeFileSync(this.#path("extensions"), `subjectAltName=${name}`);
    const by = ["-CA", this.caFile, "-CAkey", this.#path("ca.key"), "-CAcreateserial"];
    const what = ["-in", this.#path("request.pem"), "-extfile", this.#path("extensions"), "-days", String(days)];
    this.#openssl("x509", "-req", ...what, ...by, "-out", this.#path("certificate.pem"));
    return this.#pair();
  }

  selfSigned(name: string): Readonly<Record<string, string>> {
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.#path("key.pem")];
    const subject = ["-subj", "/CN=self", "-addext", `subjectAltName=${name}`, "-days", "400"];
    this.#openssl("req", "-x509", ...key, "-out", this.#path("certificate.pem"), ...subject);
    return this.#pair();
  }

  #pair(): Readonly<Record<string, string>> {
    const read = (name: string): string => readFileSync(this.#path(name), "utf8");
    return { "key.pem": read("key.pem"), "certificate.pem": read("certificate.pem") };
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { stdio: "ignore" });
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

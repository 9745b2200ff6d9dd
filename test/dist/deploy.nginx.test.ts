import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generateAuthKeys } from "../../src/credentials/auth-keys.ts";
import { maskedForms } from "../../src/runner/mask.ts";
import { type Standin, startStandin } from "../standin/standin.ts";
import { Authority } from "../support/authority.ts";
import { GitHubApi } from "../support/github/api.ts";
import { Job, type StepOptions, type StepResult } from "../support/job.ts";
import { startNginx } from "../support/nginx.ts";
import { type ProcessInfo, processes } from "../support/processes.ts";
import { chatApp } from "./support.ts";

const LONG = { timeout: 90_000 };
const TOKEN = "ghs_sentinel0123456789";

let standin: Standin;
let app: string;
const jobs: Job[] = [];

beforeAll(async () => {
  [standin, app] = await Promise.all([startStandin(), chatApp()]);
}, 60_000);
afterAll(async () => {
  await standin.stop();
  await Promise.all([...jobs.map((job) => job.remove()), rm(app, { recursive: true, force: true })]);
});

async function step(
  inputs: Readonly<Record<string, string>>,
  options: StepOptions = {},
  on = standin,
): Promise<StepResult> {
  const job = await Job.create(app);
  jobs.push(job);
  const all = { url: on.url, "admin-key": on.adminKey, typecheck: "disable", ...inputs };
  return await job.action("deploy", { ...options, inputs: all });
}

const codeOf = (result: StepResult): string | undefined => /^::error::\[([a-z0-9-]+)\]/m.exec(result.log)?.[1];
const printed = (result: StepResult): string => result.log.replace(/^::add-mask::.*$/gm, "");
const variablesOf = async (on: Standin): Promise<Record<string, string>> => {
  const headers = { authorization: `Convex ${on.adminKey}` };
  const answer = await fetch(`${on.url}/api/v1/list_environment_variables`, { headers });
  return ((await answer.json()) as { environmentVariables: Record<string, string> }).environmentVariables;
};

describe("the deploy bundle", () => {
  it("plans, sets, pushes, proves, prunes, runs and checks; tells no secret", LONG, async () => {
    await using fresh = await startStandin();
    const keys = await generateAuthKeys();
    const secret = 'sk-"sentinel" one/two+three';
    const seen = new Map<number, ProcessInfo>();
    const watch = setInterval(() => {
      void processes().then((all) => {
        for (const info of all) seen.set(info.pid, info);
      });
    }, 50);
    const inputs = {
      env: "GREETING=hello",
      "env-names": "OPENAI_API_KEY JWT_PRIVATE_KEY JWKS",
      run: 'seed:basic {"rooms": 3}',
      smoke: `${fresh.siteUrl}/rooms => ["general", "room 2", "room 3"]\nrooms:greeting {} => "hello"`,
    };
    const env = { OPENAI_API_KEY: secret, JWT_PRIVATE_KEY: keys.jwtPrivateKey, JWKS: keys.jwks };
    const names = await step({ ...inputs, smoke: "rooms:list {}" }, { env }, fresh);
    expect(names.exitCode, names.log).toBe(0);
    expect(names.outputs.get("deployed")).toBe("true");
    const changes = JSON.parse(names.outputs.get("changes") ?? "") as Record<string, { added: string[] }>;
    expect(changes["functions"]?.added).toContain("messages:send");
    expect(changes["env"]?.added).toEqual(["GREETING", "JWKS", "JWT_PRIVATE_KEY", "OPENAI_API_KEY"]);
    expect(names.summary).toContain("### ✅ Deployed in");
    expect(names.summary).toContain("discovery document and keys answer");

    const pruned = await step(
      { env: "GREETING=hi\nEXTRA=1", "env-prune": "true", "env-keep": "JW*", smoke: 'rooms:greeting {} => "hi"' },
      {},
      fresh,
    );
    clearInterval(watch);
    expect(codeOf(pruned)).toBe("env-prune-read");
    expect(await variablesOf(fresh)).toMatchObject({ GREETING: "hello", OPENAI_API_KEY: secret });
    const kept = await step(
      {
        env: "GREETING=hi\nEXTRA=1",
        "env-prune": "true",
        "env-keep": "JW* OPENAI_API_KEY",
        smoke: 'rooms:greeting => "hi"',
      },
      {},
      fresh,
    );
    expect(kept.exitCode, kept.log).toBe(0);
    const last = await step({ env: "GREETING=hi", "env-prune": "true", "env-keep": "JW* OPENAI_API_KEY" }, {}, fresh);
    expect(last.exitCode, last.log).toBe(0);
    expect(Object.keys(await variablesOf(fresh))).toEqual(["GREETING", "JWKS", "JWT_PRIVATE_KEY", "OPENAI_API_KEY"]);

    const forms = [fresh.adminKey, fresh.adminKey.split("|")[1] ?? "", keys.jwtPrivateKey, secret].flatMap(maskedForms);
    const places = [names, pruned, kept, last].flatMap((one) => [
      printed(one),
      one.summary,
      [...one.outputs.values()].join("\n"),
    ]);
    const argv = [...seen.values()].map((info) => info.argv.join(" "));
    for (const form of forms) {
      expect(names.masks).toContain(form);
      for (const place of [...places, ...argv]) expect(place.includes(form)).toBe(false);
    }
  });

  it("says what is set and how to go back when the push fails, and prunes nothing", LONG, async () => {
    await step({ env: "FORMER=1" });
    const file = join(app, "convex", "bad.ts");
    await writeFile(file, 'export const bad = (() => { throw new Error("at import"); })();\n');
    try {
      const result = await step({ env: "ADDED=1", "env-prune": "true" });
      expect(codeOf(result), result.log).toBe("modules-invalid");
      expect(result.outputs.get("deployed")).toBe("false");
      expect(result.summary).toContain("The code that was live before still is.");
      expect(result.summary).toContain("Added before the push: ADDED.");
      expect(result.summary).toContain("Not removed: FORMER.");
      expect(await variablesOf(standin)).toMatchObject({ ADDED: "1", FORMER: "1" });
      expect(result.log).toMatch(/^::error .*file=convex\/bad\.ts/m);
    } finally {
      await rm(file);
    }
  });

  it("says what is set and what is not known when the job is cancelled", LONG, async () => {
    const killWhen = { log: /Deploying to /, signal: "SIGINT" } as const;
    const result = await step({ env: "CANCELLED=1" }, { killWhen });
    expect(result.exitCode, result.log).not.toBe(0);
    expect(codeOf(result), result.log).toBe("job-cancelled");
    expect(result.summary).toContain("whether the new code is live is not known");
    expect(result.summary).toMatch(/Added before the push: .*CANCELLED/);
    expect(await variablesOf(standin)).toHaveProperty("CANCELLED");
  });

  it("says what is live when a later step fails", LONG, async () => {
    const result = await step({ smoke: 'rooms:greeting {} => "else"', env: "GREETING=hello" });
    expect(codeOf(result), result.log).toBe("smoke-failed");
    expect(result.outputs.get("deployed")).toBe("true");
    expect(result.summary).toContain("The new code is live. To go back");
    const ran = await step({ run: "seed:nothing" });
    expect(codeOf(ran), ran.log).toBe("run-failed");
  });

  it("fails as overtaken when another deploy's code is served in the end", LONG, async () => {
    const file = join(app, "convex", "newer.ts");
    // The smoke check of the first deploy is the moment at which a second one runs.
    let second: StepResult | undefined;
    const server = createServer((_, response) => {
      void writeFile(file, "export const newer = 1;\n")
        .then(() => step({}))
        .then((result) => {
          second = result;
          response.end("ok");
        });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const first = await step({ smoke: `http://127.0.0.1:${port}/`, env: "SET_BY_FIRST=1" });
      expect(second?.exitCode, second?.log).toBe(0);
      expect(codeOf(first), first.log).toBe("deploy-overtaken");
      expect(first.outputs.get("deployed")).toBe("false");
      expect(first.summary).toContain("The code of another deploy is live.");
      expect(first.summary).toContain("SET_BY_FIRST");
    } finally {
      server.close();
      await rm(file, { force: true });
    }
  });

  it("shows all that the preflight finds, and changes nothing", LONG, async () => {
    const config = join(app, "convex", "auth.config.ts");
    const before = await readFile(config, "utf8");
    await writeFile(config, before.replace("CONVEX_SITE_URL", "AUTH_DOMAIN"));
    try {
      const inputs = { url: `${standin.url}/`, env: "NEW=1\nJWKS={}\nJWT_PRIVATE_KEY=x" };
      const result = await step(inputs);
      expect(codeOf(result), result.log).toBe("url-invalid");
      for (const code of ["auth-variable-missing", "auth-keys-unreadable"]) {
        expect(result.summary).toContain(code);
        expect(result.log).toContain(`::error title=${code}`);
      }
      expect(await variablesOf(standin)).not.toHaveProperty("NEW");
    } finally {
      await writeFile(config, before);
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ["no URL", { url: "" }, "input-missing"],
    ["no key", { "admin-key": "" }, "input-missing"],
    ["a URL in quotes", { url: '"http://127.0.0.1:1"' }, "url-invalid"],
    ["a key with a line break", { "admin-key": "standin|0123456789\nabcdef" }, "admin-key-malformed"],
    ["a backend that is not there", { url: "http://127.0.0.1:1" }, "backend-unreachable"],
    ["env-keep without env-prune", { "env-keep": "A*" }, "input-conflict"],
    ["env-prune with nothing listed", { "env-prune": "true" }, "input-conflict"],
    ["a smoke line that is none", { smoke: "what is this" }, "smoke-line-invalid"],
    ["no JSON behind =>", { smoke: "a:b => nothing" }, "smoke-line-invalid"],
    ["a choice that is none", { preflight: "none" }, "input-invalid"],
  ])("refuses %s", LONG, async (_, inputs, code) => {
    const result = await step(inputs);
    expect(codeOf(result), result.log).toBe(code);
    expect(result.exitCode).toBe(1);
    expect(result.outputs.get("deployed")).toBe("false");
  });

  it("goes on with preflight: warn", LONG, async () => {
    const result = await step({ url: `${standin.url}/`, preflight: "warn" });
    expect(result.exitCode, result.log).toBe(0);
    expect(result.log).toMatch(/::warning::\[url-invalid\]/);
  });

  it.each([
    ["for another name", "DNS:other.example", 90, "is for another name"],
    ["that has expired", "IP:127.0.0.1", -1, "has expired"],
  ])("stops in the preflight at a certificate %s, of an authority that is known", LONG, async (_, name, days, what) => {
    using authority = new Authority();
    const certificate = "ssl_certificate $DIR/certificate.pem; ssl_certificate_key $DIR/key.pem;";
    const to = `location / { proxy_pass ${standin.url}; }`;
    const env = { NODE_EXTRA_CA_CERTS: authority.caFile };
    const inputs = { env: "NEVER_SET=1" };
    await using bad = await startNginx(`${certificate} ${to}`, { tls: true, files: authority.issue(name, days) });
    const refused = await step({ ...inputs, url: `https://127.0.0.1:${bad.port}` }, { env });
    expect(refused.exitCode).toBe(1);
    expect(codeOf(refused), refused.log).toBe("backend-tls");
    expect(refused.log).toContain(what);
    expect(refused.summary).toContain("Nothing that is served was changed.");
    expect(await variablesOf(standin)).not.toHaveProperty("NEVER_SET");
    // The same place with a good certificate: it is the certificate that was refused.
    const good = { tls: true, files: authority.issue("IP:127.0.0.1", 90) };
    await using proxy = await startNginx(`${certificate} ${to}`, good);
    const passed = await step({ url: `https://127.0.0.1:${proxy.port}`, "dry-run": "true" }, { env });
    expect(passed.exitCode, passed.log).toBe(0);
  });

  it("deploys through TLS, websocket included, when the authority is known to the job", LONG, async () => {
    const folder = await mkdtemp(join(tmpdir(), "tls-"));
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate];
    execFileSync("openssl", ["req", ...made, ...subject], { stdio: "ignore" });
    await using proxy = await startNginx(
      `ssl_certificate ${certificate}; ssl_certificate_key ${key};
       location / { proxy_pass ${standin.url}; proxy_http_version 1.1;
       proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }`,
      { tls: true },
    );
    const schema = join(app, "convex", "schema.ts");
    const before = await readFile(schema, "utf8");
    const url = `https://127.0.0.1:${proxy.port}`;
    const env = { NODE_EXTRA_CA_CERTS: certificate };
    try {
      const refused = await step({ url });
      expect(codeOf(refused), refused.log).toBe("backend-tls");
      await step({ url }, { env });
      await writeFile(schema, before.replace('.index("by_name", ["name"])', ""));
      const result = await step({ url }, { env });
      expect(result.exitCode, result.log).toBe(0);
      expect(JSON.parse(result.outputs.get("changes") ?? "")).toMatchObject({
        indexes: { removed: ["rooms.by_name"] },
      });
      expect(result.log).toContain(`Deployed Convex functions to ${url}`);
    } finally {
      await writeFile(schema, before);
      await rm(folder, { recursive: true });
    }
  });

  it("takes URL and key from the CLI's variables", LONG, async () => {
    const env = { CONVEX_SELF_HOSTED_URL: standin.url, CONVEX_SELF_HOSTED_ADMIN_KEY: standin.adminKey };
    const result = await step({ url: "", "admin-key": "", "dry-run": "true" }, { env });
    expect(result.exitCode, result.log).toBe(0);
  });
});

describe("on a pull request", () => {
  it("keeps one comment, of a dry run that changes nothing, and warns where it may not", LONG, async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    const event = join(app, "event.json");
    await writeFile(event, JSON.stringify({ pull_request: { number: 7 } }));
    const env = { GITHUB_EVENT_NAME: "pull_request", GITHUB_EVENT_PATH: event, GITHUB_API_URL: api.url };
    const inputs = { "dry-run": "true", "github-token": TOKEN, env: "PREVIEWED=1" };
    const first = await step(inputs, { env });
    expect(first.exitCode, first.log).toBe(0);
    expect(first.outputs.get("deployed")).toBe("false");
    expect(await variablesOf(standin)).not.toHaveProperty("PREVIEWED");
    await step(inputs, { env });
    expect(api.comments).toHaveLength(1);
    expect(api.comments[0]?.body).toContain("### What a deploy would change");
    expect(api.comments[0]?.body).toContain("+ PREVIEWED");
    expect(api.comments[0]?.body).not.toContain(standin.adminKey);
    api.readOnly = true;
    // What would say the same is not written again, so something else has to be said.
    const refused = await step({ ...inputs, env: "OTHER=1" }, { env });
    expect(refused.exitCode, refused.log).toBe(0);
    expect(refused.log).toMatch(/::warning::No comment on the pull request/);
    expect((await step({ ...inputs, comment: "false" }, { env })).log).not.toContain("No comment");
  });
});

/** The templates for Fly.io, Railway, Kubernetes, EC2 and Coder, up to the platforms' own doors, success and failure. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { parseAllDocuments } from "yaml";
import { type Cluster, postgresPrograms, startCluster } from "../unit/backend/postgres.ts";
import { world } from "./harness/world.ts";
import { deployed, NEON, type PlatformOptions, type PlatformRun, Platforms, POSTGRES, S3 } from "./platforms.ts";
import { expectNoLeaks, test } from "./support.ts";

let platforms: Platforms;
beforeAll(async () => {
  platforms = await Platforms.start(4510);
});
afterAll(async () => {
  await platforms[Symbol.asyncDispose]();
});

const image = (): string => `${world().image.repository}@${world().image.digest}`;

/** The platform said no: the functions stay where they are. */
function expectStopped({ run }: PlatformRun, step: string): void {
  expect(run.exitCode, run.log).not.toBe(0);
  expect(run.results(step)).toEqual(["failure"]);
  expect(run.results("deploy")).toEqual([]);
}

describe("the template for Fly.io", () => {
  const pushed = (machines: string): Promise<PlatformRun> =>
    platforms.run("convex-fly.yml", {
      ...{ secrets: { FLY_API_TOKEN: "FlyV1-sentinel-token-1234" }, vars: { FLY_APP: "acme-convex" }, event: "push" },
      answers: {
        "flyctl apps list": { stdout: '[{"Name":"acme-convex"}]\n' },
        "flyctl machine list": { stdout: `${machines}\n` },
      },
    });

  test("leaves an app that runs to a run by hand", async () => {
    const { run, calls } = await pushed('[{"id":"1","state":"started"}]');
    expect(run.exitCode, run.log).toBe(0);
    expect(calls.map(({ command }) => command)).toEqual(["flyctl apps list", "flyctl machine list"]);
    expect(deployed(run), run.log).toBe(true);
  });

  test.each(["[]", "null", '[{"id":"1","state":"stopped"}]'])(
    "brings up an app whose machines are %s",
    async (list) => {
      const { run, calls } = await pushed(list);
      expect(run.exitCode, run.log).toBe(0);
      expect(calls.map(({ command }) => command)).toEqual([
        ...["flyctl apps list", "flyctl machine list", "flyctl secrets import", "flyctl deploy"],
      ]);
    },
  );
});

describe("the template for Fly.io with a Postgres", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const programs = await postgresPrograms();
    cluster = await startCluster(
      programs ?? expect.unreachable("Postgres is not installed"),
      true,
      "127.0.0.1",
      "/tmp",
    );
  });
  afterAll(async () => {
    await cluster.stop();
  });
  const urlWith = (password: string): string =>
    `postgresql://postgres:${password}@localhost:${cluster.port}/template1?sslmode=require&channel_binding=require`;
  const neon = (url: string): Promise<PlatformRun> =>
    platforms.run("convex-neon.yml", {
      secrets: {
        FLY_API_TOKEN: "FlyV1-sentinel-token-1234",
        CONVEX_CONNECTION: platforms.connection(`POSTGRES_URL='${url}'`),
      },
      env: { NODE_EXTRA_CA_CERTS: join(cluster.directory, "ca.pem") },
      answers: { "flyctl apps list": { stdout: "[]\n" } },
    });
  const databases = (): string =>
    execFileSync("psql", ["--tuples-only", "--no-align", "--command", "SELECT datname FROM pg_database"], {
      env: {
        ...process.env,
        PGHOST: "127.0.0.1",
        PGPORT: String(cluster.port),
        PGUSER: "postgres",
        PGPASSWORD: "pg/pass",
      },
      encoding: "utf8",
    });

  test("makes the backend's database, finds it the next time, and gives the backend an address that it takes", async () => {
    for (const said of [/Created database "convex_self_hosted"/, /Database "convex_self_hosted" is there/]) {
      const { run, of } = await neon(urlWith("pg%2Fpass"));
      expect(run.exitCode, run.log).toBe(0);
      expect(run.output("platform")).toMatch(said);
      expect(databases()).toContain("convex_self_hosted\n");
      expect(of("flyctl secrets import")[0]?.stdin).toBe(
        `INSTANCE_SECRET=${platforms.production.instanceSecret}\nPOSTGRES_URL=postgresql://postgres:pg%2Fpass@localhost:${cluster.port}\n`,
      );
      expect(of("flyctl deploy")[0]?.options).toMatchObject({ "--app": "acme-app-convex" });
      expect(deployed(run), run.log).toBe(true);
      expectNoLeaks(run, "platform", { ...platforms.secrets, raw: "pg%2Fpass", url: urlWith("pg%2Fpass") });
    }
  });

  test.each<[string, () => string, RegExp]>([
    ["a password that is wrong", () => urlWith("wrong-sentinel"), /\[database-refused\]/],
    [
      "a name that the certificate is not for",
      () => urlWith("pg%2Fpass").replace("localhost", "127.0.0.1"),
      /\[database-tls\]/,
    ],
    ["no address", () => "", /\[input-missing\] .*CONVEX_CONNECTION/],
  ])("stops at %s before anything is asked of Fly", async (_, url, why) => {
    const result = await neon(url());
    expectStopped(result, "platform");
    expect(result.run.log).toMatch(why);
    expect(result.calls).toEqual([]);
    expectNoLeaks(result.run, "platform", { ...platforms.secrets, wrong: "wrong-sentinel" });
  });
});

describe("the template for Railway", () => {
  const secrets = { RAILWAY_TOKEN: "railway-sentinel-token" };
  const domain = "convex-production-1a2b.up.railway.app";
  const answers = {
    "railway variable list": { stdout: JSON.stringify({ RAILWAY_PUBLIC_DOMAIN: domain }) },
    "railway deployment list": { stdout: '[{"id":"1","status":"SUCCESS"}]' },
  };
  const railway = (options: PlatformOptions): Promise<PlatformRun> =>
    platforms.run("convex-railway.yml", { secrets, answers, ...options });

  test("brings the service up to date and deploys to it", async () => {
    const connection = platforms.connection(`POSTGRES_URL='${NEON}'`, "DOCUMENT_RETENTION_DELAY=172800");
    const { run, calls, of } = await railway({ secrets: { ...secrets, CONVEX_CONNECTION: connection } });
    expect(run.exitCode, run.log).toBe(0);
    expect(calls.map(({ command, options }) => [command, options["--service"]])).toEqual([
      ["railway variable list", "convex"],
      ...Array.from({ length: 4 }, () => ["railway variable set", "convex"]),
      ["railway up", "convex"],
      ["railway deployment list", "convex"],
    ]);
    expect(of("railway variable set").map(({ operands, stdin }) => [operands, stdin])).toEqual([
      [["INSTANCE_SECRET"], platforms.production.instanceSecret],
      [["POSTGRES_URL"], POSTGRES],
      [["DOCUMENT_RETENTION_DELAY"], "172800"],
      [
        [
          "INSTANCE_NAME=convex-self-hosted",
          `CONVEX_CLOUD_ORIGIN=https://${domain}`,
          `CONVEX_SITE_ORIGIN=https://${domain}/http`,
          "DISABLE_BEACON=true",
          "PORT=3210",
        ],
        "",
      ],
    ]);
    expect(deployed(run), run.log).toBe(true);
    expectNoLeaks(run, "platform", {
      ...platforms.secrets,
      ...secrets,
      ...{ secret: platforms.production.instanceSecret, password: "pw-sentinel-4711" },
    });
  });

  test("does not touch a service that runs when somebody pushes", async () => {
    const { run, of } = await railway({ event: "push" });
    expect(run.exitCode, run.log).toBe(0);
    expect(of("railway up")).toEqual([]);
    expect(deployed(run), run.log).toBe(true);
  });

  test.each<[string, PlatformOptions["answers"], string]>([
    [
      "the deployment crashes",
      { ...answers, "railway deployment list": { stdout: '[{"status":"CRASHED"}]' } },
      "Bring the service up to date",
    ],
    ["the build fails", { ...answers, "railway up": { exit: 1 } }, "Bring the service up to date"],
    ["the service has no domain", { "railway variable list": { stdout: "{}" } }, "Ask for the domain"],
  ])("stops when %s", async (_, said, step) => {
    expectStopped(await railway({ answers: said ?? {} }), step);
  });
});

describe("the template for Kubernetes", () => {
  const secretsWith = (...lines: readonly string[]) => ({
    KUBECONFIG: "apiVersion: v1\nkind: Config\n# kube-sentinel-token",
    CONVEX_CONNECTION: platforms.connection(...lines),
  });
  const manifest = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: convex\n";
  const answers = { "kubectl create secret generic": { stdout: manifest } };
  const origins = ["CONVEX_CLOUD_ORIGIN=https://api.example.com", "CONVEX_SITE_ORIGIN=https://site.example.com"];

  test("applies one replica, its data, its secret and both ports, waits, and deploys to it", async () => {
    const secrets = secretsWith(...origins, `POSTGRES_URL='${NEON}'`, ...S3);
    const { run, of } = await platforms.run("convex-kubernetes.yml", { secrets, answers });
    expect(run.exitCode, run.log).toBe(0);
    const given = of("kubectl create secret generic")[0]?.stdin ?? "";
    const { instanceSecret } = platforms.production;
    expect(given).toBe([`INSTANCE_SECRET=${instanceSecret}`, `POSTGRES_URL=${POSTGRES}`, ...S3, ""].join("\n"));
    const [secret, rest] = of("kubectl apply").map(({ stdin }) => stdin);
    expect(secret).toBe(manifest);
    const documents = parseAllDocuments(rest ?? "");
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    const [claim, service, deployment, api, site] = documents.map(
      (document) => document.toJS() as Record<string, unknown>,
    );
    expect(claim).toMatchObject({ kind: "PersistentVolumeClaim", metadata: { name: "convex-data" } });
    expect(service).toMatchObject({
      kind: "Service",
      spec: {
        ports: [
          { name: "api", port: 3210 },
          { name: "site", port: 3211 },
        ],
      },
    });
    expect(deployment).toMatchObject({
      kind: "Deployment",
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" },
        template: {
          metadata: { annotations: { "checksum/secret": createHash("sha256").update(given).digest("hex") } },
          spec: {
            containers: [
              {
                image: image(),
                ports: [{ containerPort: 3210 }, { containerPort: 3211 }],
                env: expect.arrayContaining([
                  { name: "CONVEX_CLOUD_ORIGIN", value: "https://api.example.com" },
                  { name: "CONVEX_SITE_ORIGIN", value: "https://site.example.com" },
                ]),
                envFrom: [{ secretRef: { name: "convex" } }],
              },
            ],
            volumes: [{ name: "data", persistentVolumeClaim: { claimName: "convex-data" } }],
          },
        },
      },
    });
    expect(api).toMatchObject({ kind: "Ingress", spec: { rules: [{ host: "api.example.com" }] } });
    expect(site).toMatchObject({ kind: "Ingress", spec: { rules: [{ host: "site.example.com" }] } });
    expect(of("kubectl rollout status")[0]?.operands).toEqual(["deployment/convex"]);
    expect(deployed(run), run.log).toBe(true);
    expectNoLeaks(run, "platform", {
      ...platforms.secrets,
      ...secrets,
      ...{ instanceSecret, password: "pw-sentinel-4711", s3: "s3/sentinel+4711==" },
    });
  });

  test("stops when the rollout does not come to its end, and when the domain is none", async () => {
    const failing = { ...answers, "kubectl rollout status": { exit: 1 } };
    expectStopped(
      await platforms.run("convex-kubernetes.yml", { secrets: secretsWith(...origins), answers: failing }),
      "Bring the cluster up to date",
    );
    const lost = { ...answers, "kubectl get secret": { stdout: "cG9zdGdyZXM6Ly8=" } };
    const without = await platforms.run("convex-kubernetes.yml", { secrets: secretsWith(...origins), answers: lost });
    expectStopped(without, "Bring the cluster up to date");
    expect(without.of("kubectl apply")).toEqual([]);
    const { run, calls } = await platforms.run("convex-kubernetes.yml", {
      secrets: secretsWith("CONVEX_CLOUD_ORIGIN=https://api.example.com:8443"),
    });
    expect(run.errorCode, run.log).toBe("input-invalid");
    expect(calls).toEqual([]);
  });
});

describe("the template for EC2", () => {
  const vars = {
    EC2_INSTANCE: "arn:aws-cn:ec2:eu-central-1:123456789012:instance/i-0abcdef1234567890",
  };
  const connected = () => ({ CONVEX_CONNECTION: platforms.connection("CONVEX_CLOUD_ORIGIN=https://api.example.com") });
  const id = "01234567-89ab-cdef-0123-456789abcdef";
  const answers = { "aws ssm send-command": { stdout: `${id}\n` } };

  test("sends commands that a shell takes, without the secret, and deploys to it", async () => {
    const { run, of } = await platforms.run("convex-ec2.yml", { vars, secrets: connected(), answers });
    expect(run.exitCode, run.log).toBe(0);
    const [send] = of("aws ssm send-command");
    expect(send?.options).toMatchObject({
      "--instance-ids": "i-0abcdef1234567890",
      "--document-name": "AWS-RunShellScript",
    });
    const { commands } = JSON.parse(send?.files["commands.json"] ?? "") as { commands: string[] };
    const script = commands.join("\n");
    execFileSync("sh", ["-n"], { input: script });
    expect(script).toContain('[ "$(docker inspect --format {{.State.Status}} convex 2>&1)" = running ]');
    expect(script).toContain(`docker pull '${image()}'`);
    expect(script).toContain("CONVEX_CLOUD_ORIGIN='https://api.example.com'");
    expect(script).toContain("CONVEX_SITE_ORIGIN='https://api.example.com/http'");
    expect(script).not.toContain(platforms.production.instanceSecret);
    expect(of("aws ssm wait command-executed")[0]?.options).toMatchObject({ "--command-id": id });
    expect(run.log).toMatch(/double of aws-actions\/configure-aws-credentials: .*"aws-region":"eu-central-1"/);
    expect(run.log).toContain('"role-to-assume":"arn:aws-cn:iam::123456789012:role/convex-deploy"');
    expect(deployed(run), run.log).toBe(true);
  });

  test("stops at what is no ARN of an instance, and at no address, before anything is asked", async () => {
    for (const given of [
      { vars: { ...vars, EC2_INSTANCE: "i-0abcdef1234567890" }, secrets: connected() },
      { vars, secrets: {} },
    ]) {
      const result = await platforms.run("convex-ec2.yml", given);
      expectStopped(result, "Read the instance's ARN");
      expect(result.calls).toEqual([]);
    }
  });

  test("stops when the instance could not do it, and shows what it said", async () => {
    const failing = {
      ...answers,
      "aws ssm wait command-executed": { exit: 255 },
      "aws ssm get-command-invocation": [{ stdout: "Failed\n" }, { stdout: "docker: not found\n" }],
    };
    const result = await platforms.run("convex-ec2.yml", { vars, secrets: connected(), answers: failing });
    expectStopped(result, "Bring the instance up to date");
    expect(result.run.log).toContain("docker: not found");
  });
});

describe("the template for Coder", () => {
  const coder = (host: string): Promise<PlatformRun> =>
    platforms.run("convex-coder.yml", {
      secrets: { CONVEX_CONNECTION: platforms.connection(`CONVEX_CLOUD_ORIGIN=https://${host}`) },
    });

  test("works the second address out and deploys to it", async () => {
    const { run } = await coder("convex--dev--alice.coder.example.com");
    expect(run.exitCode, run.log).toBe(0);
    expect(run.outputs("platform")).toMatchObject({
      "cloud-origin": "https://convex--dev--alice.coder.example.com",
      "site-origin": "https://convex-site--dev--alice.coder.example.com",
    });
    expect(deployed(run), run.log).toBe(true);
  });

  test("stops at an address that is none of the app's", async () => {
    const { run } = await coder("dev.coder.example.com");
    expect(run.errorCode, run.log).toBe("input-invalid");
    expect(run.results("deploy")).toEqual([]);
  });
});

describe("the templates for previews on Coolify and Dokploy", () => {
  test.each(["convex-preview-coolify.yml", "convex-preview-dokploy.yml"])(
    "%s: says what is missing before it connects",
    async (template) => {
      const { run } = await platforms.run(template, {
        vars: { PREVIEW_HOST: "ssh://deploy@preview.example.com:9" },
        secrets: {
          PREVIEW_SECRET: "5e".repeat(32),
          PREVIEW_SSH_KEY: "-----BEGIN OPENSSH PRIVATE KEY-----\nsentinel\n-----END OPENSSH PRIVATE KEY-----",
        },
      });
      expect(run.exitCode).not.toBe(0);
      expect(run.error, run.log).toContain("known-hosts");
      const { run: empty } = await platforms.run(template);
      expect(empty.exitCode).not.toBe(0);
      expect(empty.log).toContain("set the variable PREVIEW_KNOWN_HOSTS and the secret PREVIEW_SSH_KEY");
      expect(empty.results("preview")).toEqual([]);
    },
  );
});

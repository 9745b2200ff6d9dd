import { expect, it, onTestFinished } from "vitest";
import { openAdminKey } from "../standin/admin-keys.ts";
import { Job, type StepResult } from "../support/job.ts";
import { scratch } from "../support/scratch.ts";

const SECRET = "5e".repeat(32);
const NEON = "postgresql://alex:pw-sentinel-4711@ep-a1-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require";

async function platform(inputs: Readonly<Record<string, string>>): Promise<StepResult> {
  const job = await Job.create(await scratch("platform"));
  onTestFinished(() => job.remove());
  return await job.action("platform", { inputs });
}

it("gives a backend's settings out, its secrets masked before anything else is said", async () => {
  const { exitCode, log, outputs, masks, summary } = await platform({
    ...{ platform: "fly", "instance-name": "acme", "instance-secret": SECRET, "postgres-url": NEON },
  });
  expect(exitCode, log).toBe(0);
  expect(Object.fromEntries(outputs)).toMatchObject({
    "cloud-origin": "https://acme-chat-convex.fly.dev",
    "site-origin": "https://acme-chat-convex.fly.dev/http",
    app: "acme-chat-convex",
    database: "acme",
    "postgres-url": "postgresql://alex:pw-sentinel-4711@ep-a1.eu-central-1.aws.neon.tech",
    image: expect.stringMatching(/^ghcr\.io\/get-convex\/convex-backend@sha256:[0-9a-f]{64}$/),
  });
  const key = outputs.get("admin-key") ?? "";
  expect(key).toMatch(/^acme\|/);
  expect(openAdminKey(key.slice("acme|".length), Buffer.from(SECRET, "hex"))).toMatchObject({ kind: "admin" });
  expect(masks).toEqual(expect.arrayContaining([SECRET, NEON, "pw-sentinel-4711", key, outputs.get("postgres-url")]));
  const said = log.split("\n").filter((line) => !line.startsWith("::add-mask::"));
  expect([...said, summary].join("\n")).not.toMatch(new RegExp(`pw-sentinel|${SECRET}`));
});

it("says what is wrong without repeating a secret", async () => {
  const { exitCode, log, outputs } = await platform({
    ...{ "postgres-url": "postgresql://alex:pw/sentinel-4711@db.example.com/app", domain: "api.example.com" },
  });
  expect(exitCode).toBe(1);
  expect(log).toContain("[database-url-invalid] postgres-url:");
  expect(log.split("\n").filter((line) => line.includes("sentinel-4711") && !line.startsWith("::add-mask::"))).toEqual(
    [],
  );
  expect(outputs.has("cloud-origin")).toBe(false);
});

it("takes a backend's settings from one secret, and gives them out as lines for a platform", async () => {
  const connection = `POSTGRES_URL='${NEON}'\nINSTANCE_SECRET=${SECRET}\nRUST_LOG=info\nOTHER_TOKEN=other-sentinel\n`;
  const { exitCode, log, outputs, masks } = await platform({ platform: "fly", connection });
  expect(exitCode, log).toBe(0);
  const url = "postgresql://alex:pw-sentinel-4711@ep-a1.eu-central-1.aws.neon.tech";
  expect(outputs.get("settings")).toBe(`INSTANCE_SECRET=${SECRET}\nPOSTGRES_URL=${url}\nRUST_LOG=info`);
  expect(outputs.get("cloud-origin")).toBe("https://acme-chat-convex.fly.dev");
  expect(masks).toEqual(expect.arrayContaining([SECRET, NEON, "pw-sentinel-4711", url, "other-sentinel"]));
  expect(log).toContain("OTHER_TOKEN not passed on");
  const said = log.split("\n").filter((line) => !line.startsWith("::add-mask::"));
  expect(said.join("\n")).not.toMatch(new RegExp(`sentinel|${SECRET}`));
});

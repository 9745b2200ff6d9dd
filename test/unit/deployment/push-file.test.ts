import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findProject } from "../../../src/deployment/project.ts";
import { PushError } from "../../../src/deployment/push.ts";
import { type PushFile, readPushFile, recordPush, writePushFile } from "../../../src/deployment/push-file.ts";
import { sendPush } from "../../../src/deployment/push-send.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { startStandin } from "../../standin/standin.ts";
import { type App, clientOf, newApp, SCHEMA } from "../deploy/support.ts";
import { directoryWith, fakeDeps } from "./support.ts";

const LONG = { timeout: 120_000 };
const record = async (app: App, env: Readonly<Record<string, string>> = {}): Promise<PushFile> =>
  await recordPush(
    fakeDeps({ clock: systemClock, env: { ...process.env, ...env } }),
    await findProject(app.path),
    app.path,
  );
const count = async (client: ReturnType<typeof clientOf>) => await client.call("query", "rooms:list", {});

describe("a recorded push", () => {
  it("is made without a backend and a key, and deploys what the CLI would have", LONG, async () => {
    await using app = await newApp();
    const file = await record(app, { CONVEX_DEPLOY_KEY: "prod:x|s3cret-of-the-job" });
    expect(JSON.stringify(file)).not.toMatch(/adminKey|nobody\||s3cret-of-the-job/);
    expect(file).toMatchObject({ format: 1, cliVersion: "1.48.0" });
    await using directory = await directoryWith({});
    await writePushFile(join(directory.path, "push.json"), file);
    const standin = await startStandin();
    try {
      const client = clientOf(standin);
      const read = await readPushFile(join(directory.path, "push.json"));
      expect(read).toEqual(file);
      const sent = await sendPush(client, read, { clock: systemClock });
      expect(JSON.stringify(sent.analysis)).toContain("list");
      expect(sent.finished).toMatchObject({ componentDiffs: { "": { diffType: { type: "create" } } } });
      expect([...(await client.moduleHashes()).keys()].sort()).toContain("rooms.js");
      expect(await count(client)).toMatchObject({ ok: true, value: 0 });
      // The same again, and then other code.
      await sendPush(client, read, { clock: systemClock });
      expect(await client.call("function", "rooms:add", {})).toMatchObject({ ok: true });
      await app.write("convex/extra.ts", `export const x = 1;\n`);
      await sendPush(client, await record(app), { clock: systemClock });
      expect([...(await client.moduleHashes()).keys()]).toContain("extra.js");
      expect(await count(client)).toMatchObject({ ok: true, value: 1 });
    } finally {
      await standin.stop();
    }
  });
  it("whose schema the documents do not fit is refused without showing them", LONG, async () => {
    await using app = await newApp();
    const standin = await startStandin();
    try {
      const client = clientOf(standin);
      await sendPush(client, await record(app), { clock: systemClock });
      await client.call("function", "rooms:add", {});
      await app.write("convex/schema.ts", SCHEMA.replace("name: v.string()", "name: v.string(), size: v.number()"));
      const refused = sendPush(client, await record(app), { clock: systemClock });
      await expect(refused).rejects.toMatchObject({
        code: "schema-violated",
        message: expect.stringMatching(/missing the required field `size`[^{}]*$/),
      });
    } finally {
      await standin.stop();
    }
  });
  it("whose code cannot be bundled fails as a deploy does", LONG, async () => {
    await using app = await newApp({ "convex/broken.ts": "export const x = ;" });
    await expect(record(app)).rejects.toBeInstanceOf(PushError);
  });
});

describe("a file that somebody made up", () => {
  const push = {
    functions: "convex/",
    appDefinition: { changedModules: [], unchangedModuleHashes: [] },
    componentDefinitions: [],
    nodeDependencies: [],
  };
  const whole = { format: 1, cliVersion: "1.48.0", push };
  it.each([
    ["no JSON", "{ s3cret"],
    ["another format", JSON.stringify({ ...whole, format: 2 })],
    ["a version that is a command", JSON.stringify({ ...whole, cliVersion: "1.0.0\n::error::x" })],
    ["no modules", JSON.stringify({ ...whole, push: { ...push, appDefinition: {} } })],
    [
      "modules of what is deployed already",
      JSON.stringify({
        ...whole,
        push: { ...push, appDefinition: { changedModules: [], unchangedModuleHashes: [{ path: "a.js" }] } },
      }),
    ],
    ["no components", JSON.stringify({ ...whole, push: { ...push, componentDefinitions: {} } })],
  ])("with %s is refused, and not repeated", async (_, text) => {
    await using directory = await directoryWith({ "push.json": text });
    const refused = readPushFile(join(directory.path, "push.json"));
    await expect(refused).rejects.toMatchObject({
      code: "push-file-invalid",
      message: expect.not.stringMatching(/s3cret|::error/),
    });
  });
  it("that is not there is refused by its name", async () => {
    await expect(readPushFile("/nowhere/push.json")).rejects.toMatchObject({ code: "push-file-invalid" });
  });
  it("loses what a push has no place for, a key above all", async () => {
    const more = { ...push, adminKey: "x|1", dryRun: true, appDefinition: { ...push.appDefinition, extra: 1 } };
    await using directory = await directoryWith({ "push.json": JSON.stringify({ ...whole, push: more }) });
    const path = join(directory.path, "push.json");
    expect(await readFile(path, "utf8")).toContain("adminKey");
    const read = await readPushFile(path);
    expect(Object.keys(read.push).sort()).toEqual([
      "appDefinition",
      "componentDefinitions",
      "functions",
      "nodeDependencies",
    ]);
    expect(read.push.appDefinition).not.toHaveProperty("extra");
  });
});

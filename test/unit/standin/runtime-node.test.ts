import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makePackage, type Package } from "../../standin/deploy/code.ts";
import { NodeExecutor } from "../../standin/runtime/node-executor.ts";
import type { LogLine } from "../../standin/types.ts";
import { bundleSource } from "./bundle-source.ts";

const SOURCE = `"use node";
import { hostname } from "node:os";
import { actionGeneric as action, queryGeneric as query } from "convex/server";
export const plain = action({ args: {}, handler: async () => { console.log("in node", typeof hostname); return [process.version, process.env.A ?? null, process.env.PATH ?? null]; } });
export const back = action({ args: {}, handler: async (ctx: any) => ({ list: await ctx.runQuery("messages:list", {}), who: await ctx.auth.getUserIdentity() }) });
export const boom = action({ args: {}, handler: async () => { throw new Error("node boom"); } });
`;

let directory: string;
let server: Server;
let code: Package;
let origin = "";
let node: NodeExecutor;
const asked: unknown[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "node-executor-"));
  const module = await bundleSource("convex/nodeact.ts", SOURCE, "node");
  code = makePackage([{ ...module, environment: "node" }]);
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      asked.push({
        path: request.url,
        token: request.headers["convex-action-callback-token"],
        op: (JSON.parse(body) as { op: string }).op,
      });
      response.setHeader("content-type", "application/json").end(JSON.stringify({ ok: true, value: "[1,2]" }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  node = new NodeExecutor({ tmpDir: directory, env: { PATH: dirname(process.execPath) }, origin: () => origin });
});
afterAll(() => {
  node.close();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

const run = (name: string, onLog: (line: LogLine) => void = () => {}) =>
  node.run({
    code,
    module: "nodeact.js",
    name,
    args: "[{}]",
    env: { A: "1" },
    token: "t1",
    identity: { user: { subject: "s" } },
    onLog,
  });
const value = async (name: string) => {
  const result = await run(name);
  return result.ok ? JSON.parse(String(result.value)) : result.error;
};

describe("Node actions (contract 1.6, 5.2, 8.3)", () => {
  it("run in the node of the PATH with the deployment's variables alone", async () => {
    const lines: LogLine[] = [];
    const result = await run("plain", (line) => void lines.push(line));
    expect(result.ok && JSON.parse(String(result.value))).toEqual([process.version, "1", null]);
    expect(lines.map(({ level, messages }) => [level, ...messages])).toEqual([["LOG", "'in node'", "'function'"]]);
  });

  it("call back over HTTP at the configured origin", async () => {
    expect(await value("back")).toEqual({ list: [1, 2], who: { subject: "s" } });
    expect(asked).toEqual([{ path: "/api/actions/callback", token: "t1", op: "1.0/actions/query" }]);
  });

  it("fail where nobody listens at the origin, without naming it", async () => {
    const right = origin;
    origin = "http://127.0.0.1:9";
    expect(await value("back")).toMatchObject({
      text: expect.stringMatching(
        /^Uncaught Error: fetch failed\n {4}at async handler \(\.\.\/convex\/nodeact\.ts:\d+:\d+\)\n$/,
      ),
    });
    origin = "";
    expect(await value("back")).toMatchObject({ headline: "Uncaught Error: Invalid URL" });
    origin = right;
  });

  it("name the position of an exception", async () => {
    expect(await value("boom")).toMatchObject({
      text: expect.stringMatching(
        /^Uncaught Error: node boom\n {4}at handler \(\.\.\/convex\/nodeact\.ts:\d+:\d+\)\n$/,
      ),
    });
  });
});

describe("analysis", () => {
  it("lists the actions in the order of the source", async () => {
    const [module] = await node.analyze({ code }, {});
    expect(module?.functions.map((fn) => [fn.name, fn.udfType])).toEqual([
      ["plain", "Action"],
      ["back", "Action"],
      ["boom", "Action"],
    ]);
  });

  it("says which module throws", async () => {
    const broken = makePackage([{ path: "n.js", source: 'throw new Error("at import");', environment: "node" }]);
    await expect(node.analyze({ code: broken }, {})).rejects.toMatchObject({
      status: 400,
      code: "InvalidModules",
      message: expect.stringMatching(
        /^Loading the pushed modules encountered the following\n {4}error:\nUncaught Failed to analyze n\.js: at import\n/,
      ),
    });
  });

  it("is a 500 without node on the PATH, with the cause in the log only", async () => {
    const logged: string[] = [];
    const without = new NodeExecutor({
      tmpDir: directory,
      env: { PATH: join(directory, "nowhere") },
      origin: () => origin,
      onError: (text) => void logged.push(text),
    });
    await expect(without.analyze({ code }, {})).rejects.toMatchObject({ status: 500, code: "InternalServerError" });
    expect(logged).toEqual(["Failed to create inner local node executor: No such file or directory"]);
  });
});

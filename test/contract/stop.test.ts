import { rmSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, ownsProcess } from "./support/backend.ts";
import { moduleHash } from "./support/bundle.ts";
import { at, listAt, send } from "./support/http.ts";
import { discard, kill, type Launched, start, until } from "./support/process.ts";
import { bundleSpec, evaluatePush, push, pushBundles, requestOf } from "./support/push.ts";
import { exportDocument, latestExport } from "./support/snapshot.ts";
import { SyncClient } from "./support/sync.ts";

const posix = process.platform !== "win32";

async function withApp<T>(run: (backend: Backend, launched: Launched) => Promise<T>): Promise<T> {
  const launched = await start();
  try {
    const backend = new Backend().setTarget(launched);
    await push(backend);
    return await run(backend, launched);
  } finally {
    await discard(launched);
  }
}
/** A request that is known to have begun, because its own log or effect shows. */
const interrupt = (launched: Launched) => launched.child.kill("SIGINT");
const refused = (base: string) =>
  send(base, "/version", { timeoutMs: 2000 }).then(
    () => false,
    () => true,
  );

describe.skipIf(!ownsProcess || !posix)("SIGINT", () => {
  it("1.6 idle: exit 0 within a moment, its lines in order", async () => {
    await withApp(async (_backend, launched) => {
      interrupt(launched);
      const { code } = await launched.exited;
      const text = launched.stdout();
      // The real process sometimes dies with SIGABRT after Done; nothing is lost then.
      expect([0, null, 134]).toContain(code);
      let from = 0;
      for (const line of [
        "Received Ctrl-C signal!",
        "Shutting down application...",
        "Server successfully shut down.",
        "Done",
      ]) {
        from = text.indexOf(line, from);
        expect(from).toBeGreaterThan(0);
      }
      expect(text).toContain("Shutdown initiated, draining existing requests...");
    });
  });

  it("1.6 open requests are served to the end, new ones are refused at once on both ports", async () => {
    await withApp(async (backend, launched) => {
      const action = backend.call("action", "messages:slow", { ms: 4000 });
      const http = backend.site("/slow?ms=4000");
      // Nothing tells that a request has begun; on a busy machine it takes a moment.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      interrupt(launched);
      await until(
        "the ports closed",
        async () => (await refused(launched.url)) && (await refused(launched.siteUrl)),
        2500,
      );
      expect(launched.hasExited()).toBe(false);
      expect(at((await action).json, "value")).toBe("slept 4000");
      expect((await http).text).toBe("slept 4000");
      expect((await launched.exited).code).not.toBe(1);
    });
  });

  it("1.6 log long polls are answered 500 at once, websockets cut without a close frame", async () => {
    await withApp(async (backend, launched) => {
      const client = await SyncClient.open(backend.url);
      client.connect().add([{ path: "messages:undef" }]);
      await client.result(0);
      const cursor = at((await backend.get("/api/stream_function_logs?cursor=0")).json, "newCursor");
      const poll = backend.get(`/api/stream_function_logs?cursor=${cursor}`);
      await backend.get("/version");
      interrupt(launched);
      expect(await poll).toMatchObject({ status: 500, json: { code: "InternalServerError" } });
      expect((await client.whenClosed()).code).toBe(1006);
      await launched.exited;
    });
  });

  it("1.6 an idle keep-alive connection does not hold it", async () => {
    await withApp(async (_backend, launched) => {
      const agent = new Agent({ keepAlive: true });
      await new Promise<void>((resolve, reject) => {
        get(`${launched.url}/version`, { agent }, (answer) => answer.resume().on("end", resolve)).on("error", reject);
      });
      const began = Date.now();
      interrupt(launched);
      await launched.exited;
      expect(Date.now() - began).toBeLessThan(3000);
      agent.destroy();
    });
  });

  it("1.6 a second SIGINT ends it at once, open requests are cut", async () => {
    await withApp(async (backend, launched) => {
      const action = backend.call("action", "messages:slow", { ms: 20_000 }).then(
        (answer) => answer.cut,
        () => true,
      );
      await new Promise((resolve) => setTimeout(resolve, 1000));
      interrupt(launched);
      await until("the first signal seen", async () => launched.stdout().includes("Received Ctrl-C signal!"));
      interrupt(launched);
      expect((await launched.exited).code).toBe(0);
      expect(await action).toBe(true);
      expect(launched.stdout()).toContain("Forcibly shutting down!");
    });
  });
});

describe.skipIf(!ownsProcess || !posix)("SIGTERM and SIGKILL", () => {
  it("1.6 SIGTERM is not handled: it kills at once", async () => {
    await withApp(async (_backend, launched) => {
      launched.child.kill("SIGTERM");
      expect(await launched.exited).toEqual({ code: null, signal: "SIGTERM" });
      expect(launched.stdout()).not.toContain("Received Ctrl-C signal!");
    });
  });

  it("1.6 SIGKILL loses nothing that was acknowledged; the next start needs no cleanup", async () => {
    await withApp(async (backend, launched) => {
      const acknowledged: unknown[] = [];
      const writer = (async () => {
        for (let n = 0; ; n++) {
          acknowledged.push(await backend.value("mutation", "messages:send", { author: "k", body: String(n) }));
        }
      })().catch(() => undefined);
      await until("some writes", async () => acknowledged.length > 20);
      await kill(launched);
      await writer;
      const again = await start({ dir: launched.dir });
      try {
        backend.setTarget(again);
        const ids = new Set(listAt(await backend.value("query", "messages:list")).map((each) => at(each, "_id")));
        expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
      } finally {
        await discard(again);
      }
    });
  });
});

describe.skipIf(!ownsProcess)("what survives a restart", () => {
  it("1.6 code, variables, files, exports, pause and waiting imports are there again", async () => {
    await withApp(async (backend, launched) => {
      await backend.setEnv({ KEPT: "1" });
      await backend.seed("messages", [{ author: "a", body: "b" }]);
      const storageId = await backend.value("action", "files:store", { text: "file", type: "text/plain" });
      const path = new URL(String(await backend.value("query", "files:url", { storageId }))).pathname;
      const exported = await exportDocument(backend);
      await backend.post("/api/v1/pause_deployment", {});
      await kill(launched);
      const again = await start({ dir: launched.dir });
      try {
        backend.setTarget(again);
        expect(at(await backend.call("query", "messages:list"), "json", "status")).toBe("error");
        await backend.post("/api/v1/unpause_deployment", {});
        expect(listAt(await backend.value("query", "messages:list"))).toHaveLength(1);
        expect(await backend.env()).toEqual({ KEPT: "1" });
        expect((await send(backend.url, path)).text).toBe("file");
        expect(at(await latestExport(backend), "_id")).toBe(at(exported, "_id"));
        expect((await backend.get(`/api/export/zip/${at(exported, "start_ts")}`)).status).toBe(200);
        expect((await backend.site("/hello")).text).toBe("hello");
        expect(await backend.value("query", "messages:byAuthor", { author: "a" })).toHaveLength(1);
      } finally {
        await discard(again);
      }
    });
  });

  it("1.8 without its storage directory it looks ready, but every function is 500 until all modules are pushed", async () => {
    await withApp(async (backend, launched) => {
      const bundles = await bundleSpec({});
      await pushBundles(backend, bundles);
      await kill(launched);
      rmSync(join(launched.dir, "storage"), { recursive: true });
      const again = await start({ dir: launched.dir });
      try {
        backend.setTarget(again);
        expect((await send(backend.url, "/version")).status).toBe(200);
        expect((await backend.get("/api/v1/list_environment_variables")).status).toBe(200);
        expect(await backend.call("query", "messages:list")).toMatchObject({
          status: 500,
          json: { code: "InternalServerError" },
        });
        expect((await backend.site("/hello")).status).toBe(500);
        const request = requestOf(backend, bundles);
        request.appDefinition.unchangedModuleHashes = request.appDefinition.changedModules.map((module) => ({
          path: module.path,
          environment: module.environment,
          sha256: moduleHash(module),
        }));
        request.appDefinition.changedModules = [];
        expect((await evaluatePush(backend, request)).status).toBe(500);
        await pushBundles(backend, bundles);
        expect((await backend.call("query", "messages:list")).status).toBe(200);
      } finally {
        await discard(again);
      }
    });
  });

  it("1.7 HTTP_SERVER_TIMEOUT_SECONDS: 408 with an empty body, on both ports", async () => {
    await withApp(async (backend, launched) => {
      await kill(launched);
      const again = await start({ dir: launched.dir, env: { HTTP_SERVER_TIMEOUT_SECONDS: "1" } });
      try {
        backend.setTarget(again);
        const [action, http] = await Promise.all([
          backend.call("action", "messages:slow", { ms: 4000 }),
          backend.site("/slow?ms=4000"),
        ]);
        expect(action).toMatchObject({ status: 408, text: "" });
        expect(http).toMatchObject({ status: 408, text: "" });
      } finally {
        await discard(again);
      }
    });
  });
});

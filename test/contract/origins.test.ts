import { describe, expect, it } from "vitest";
import { variant } from "./support/app.ts";
import { Backend, ownsProcess, useBackend, withProcess } from "./support/backend.ts";
import { at } from "./support/http.ts";
import { discard, kill, start } from "./support/process.ts";
import { push } from "./support/push.ts";

const lab = {
  files: { "lab.ts": variant("lab.ts"), "nodelab.ts": variant("nodelab.ts"), "http.ts": variant("http.lab.ts") },
};
const backend = useBackend((target) => push(target, lab));

const callbacks = async (target: Backend) =>
  (await target.value("action", "nodelab:callbacks")) as Record<string, string>;

describe("right origins", () => {
  it("8.3 functions, system query and storage URLs show the cloud origin", async () => {
    const urls = (await backend.get("/api/v1/get_canonical_urls")).json;
    expect(await backend.value("query", "lab:urls")).toEqual({
      cloud: at(urls, "convexCloudUrl"),
      site: at(urls, "convexSiteUrl"),
    });
    const storageId = await backend.value("action", "files:store", { text: "x", type: "text/plain" });
    expect(String(await backend.value("query", "files:url", { storageId }))).toMatch(
      new RegExp(`^${at(urls, "convexCloudUrl")}/api/storage/[0-9a-f-]{36}$`),
    );
  });

  it("8.3 a Node action calls back: query, mutation, action, store; a blob without type is refused", async () => {
    const out = await callbacks(backend);
    for (const name of ["query", "mutation", "action", "store"]) expect(`${name}: ${out[name]}`).toContain(": ok ");
    expect(out["store without type"]).toContain("Error uploading file: ");
    expect(out["store without type"]).toContain("BadHeader");
  });

  it("8.3 fetch reaches the own ports from both runtimes", async () => {
    for (const path of ["lab:get", "nodelab:get"]) {
      expect(await backend.value("action", path, { url: `${backend.url}/version` })).toMatchObject({ status: 200 });
      expect(await backend.value("action", path, { url: `${backend.siteUrl}/hello` })).toMatchObject({
        status: 200,
        body: "hello",
      });
    }
  });

  it("8.3 a refused fetch: the default runtime names the address, Node says fetch failed", async () => {
    const isolate = await backend.value("action", "lab:get", { url: "http://127.0.0.1:1/" });
    expect(at(isolate, "error")).toMatch(
      /^Error: error sending request for url \(http:\/\/127\.0\.0\.1:1\/\): client error \(Connect\): tcp connect error: /,
    );
    expect(at(await backend.value("action", "nodelab:get", { url: "http://127.0.0.1:1/" }), "error")).toBe(
      "TypeError: fetch failed",
    );
  });

  it("8.3 redirects are not followed with redirect manual", async () => {
    expect(await backend.value("action", "lab:get", { url: `${backend.siteUrl}/answer?status=302` })).toMatchObject({
      status: 302,
    });
  });
});

describe.skipIf(!ownsProcess)("other origins", () => {
  it("8.3 a wrong cloud origin shows only in Node callbacks and URLs; deploys and functions work", async () => {
    const dead = "http://127.0.0.1:1";
    await withProcess({ origins: [dead, dead] }, async (target) => {
      await push(target, lab);
      expect(await target.value("query", "lab:urls")).toEqual({ cloud: dead, site: dead });
      expect(String(await target.value("mutation", "files:uploadUrl"))).toMatch(
        /^http:\/\/127\.0\.0\.1:1\/api\/storage\/upload\?token=/,
      );
      expect(await target.value("action", "nodelab:noCallback")).toMatch(/^v/);
      const out = await callbacks(target);
      for (const name of ["query", "mutation", "action", "store"])
        expect(`${name}: ${out[name]}`).toContain("fetch failed");
      const answer = await target.call("action", "nodeact:run");
      expect(String(at(answer.json, "errorMessage"))).toContain(
        "Server Error\nUncaught Error: fetch failed\n    at async handler (../convex/nodeact.ts:",
      );
    });
  });

  it("8.3 empty origins: relative storage URLs, Invalid URL in Node callbacks", async () => {
    await withProcess({ origins: ["", ""] }, async (target) => {
      await push(target, lab);
      expect(String(await target.value("mutation", "files:uploadUrl"))).toMatch(/^\/api\/storage\/upload\?token=/);
      expect((await callbacks(target))["query"]).toContain("Invalid URL");
    });
  });

  it("8.3 a trailing slash is kept: //api/storage, callbacks work", async () => {
    await withProcess({}, async (_unused, launched) => {
      await kill(launched);
      const again = await start({
        dir: launched.dir,
        port: launched.port,
        sitePort: launched.sitePort,
        origins: [`${launched.url}/`, `${launched.siteUrl}/`],
      });
      try {
        _unused.setTarget(again);
        await push(_unused, lab);
        expect(String(await _unused.value("mutation", "files:uploadUrl"))).toContain("//api/storage/upload?token=");
        const out = await callbacks(_unused);
        expect(out["query"]).toContain("ok ");
      } finally {
        await kill(again);
      }
    });
  });

  it("4.1 a restart with another site origin does not evaluate auth.config again; an env change does", async () => {
    const first = await start();
    let running = first;
    try {
      const target = new Backend().setTarget(first);
      const app = { files: { "auth.config.ts": variant("auth.config.site.ts") } };
      await push(target, app);
      await kill(first);
      running = await start({ dir: first.dir, origins: ["http://127.0.0.1:1", "https://moved.example"] });
      target.setTarget(running);
      expect(at((await target.get("/api/v1/get_canonical_urls")).json, "convexSiteUrl")).toBe("https://moved.example");
      const token = `e30.${Buffer.from(JSON.stringify({ iss: "https://x.example", aud: "convex", sub: "s", exp: 4e9 })).toString("base64url")}.AAAA`;
      const providers = async () => {
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
        const body = JSON.stringify({ path: "messages:who", args: {} });
        return String(
          at((await target.send("/api/query", { method: "POST", key: null, body, headers })).json, "message"),
        );
      };
      expect(await providers()).toContain(`[OIDC(domain=${first.siteUrl}, app_id=convex)]`);
      await target.post("/api/update_environment_variables", { changes: [] });
      expect(await providers()).toContain("[OIDC(domain=https://moved.example, app_id=convex)]");
    } finally {
      await discard(running);
    }
  });

  it("8.3 a canonical URL is stored and wins over the flags of later starts; Node callbacks keep the flag", async () => {
    const first = await start();
    let running = first;
    try {
      const target = new Backend().setTarget(first);
      await push(target, lab);
      await target.post("/api/v1/update_canonical_url", {
        requestDestination: "convexCloud",
        url: "https://api.app.example",
      });
      expect(at(await target.value("query", "lab:urls"), "cloud")).toBe("https://api.app.example");
      const out = await callbacks(target);
      expect(out["query"]).toContain("ok ");
      expect(out["store"]).toContain("fetch failed");
      await kill(first);
      running = await start({ dir: first.dir });
      target.setTarget(running);
      expect(at((await target.get("/api/v1/get_canonical_urls")).json, "convexCloudUrl")).toBe(
        "https://api.app.example",
      );
    } finally {
      await discard(running);
    }
  });
});

import { describe, expect, it } from "vitest";
import { useBackend } from "./support/backend.ts";
import { at, jsonHeaders, send } from "./support/http.ts";
import { push } from "./support/push.ts";

const http = `import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";
const http = httpRouter();
http.route({ method: "GET", path: "/who", handler: httpAction(async (ctx) => Response.json(await ctx.auth.getUserIdentity())) });
http.route({ method: "GET", path: "/hello", handler: httpAction(async () => new Response("hello")) });
export default http;\n`;
const backend = useBackend((target) => push(target, { files: { "http.ts": http } }));

const who = { path: "messages:who", args: {} };
const acting = (identity: unknown, key = backend.key) =>
  `${key}:${Buffer.from(typeof identity === "string" ? identity : JSON.stringify(identity)).toString("base64")}`;

describe("acting users", () => {
  it("3.1 subject and issuer are enough, other fields come through", async () => {
    const answer = await backend.post(
      "/api/query",
      who,
      acting({ subject: "u1", issuer: "https://issuer.example", name: "N" }),
    );
    expect(at(answer.json, "value")).toEqual({
      issuer: "https://issuer.example",
      name: "N",
      subject: "u1",
      tokenIdentifier: "https://issuer.example|u1",
    });
  });

  it("3.1 a tokenIdentifier alone is enough", async () => {
    const answer = await backend.post("/api/query", who, acting({ tokenIdentifier: "https://i.example|s" }));
    expect(answer.status).toBe(200);
    expect(at(answer.json, "value", "tokenIdentifier")).toBe("https://i.example|s");
  });

  it.each([
    ["only a subject", { subject: "s" }],
    ["{}", {}],
    ["a list", []],
    ["null", null],
  ])("3.1 malformed: %s", async (_label, identity) => {
    const answer = await backend.post("/api/query", who, acting(identity));
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "HeaderParseFailure", message: "Malformed Authorization header." },
    });
  });

  it("3.1 malformed: no base64", async () => {
    const answer = await backend.post("/api/query", who, `${backend.key}:%%%`);
    expect(answer).toMatchObject({ status: 400, json: { code: "HeaderParseFailure" } });
  });

  it("3.1 a read-only key may act as a user in queries", async () => {
    const key = acting({ subject: "u", issuer: "https://i.example" }, backend.readOnlyKey);
    expect(at((await backend.post("/api/query", who, key)).json, "value", "subject")).toBe("u");
  });

  it("3.1 with a system key acting is 500", async () => {
    const key = acting({ subject: "u", issuer: "https://i.example" }, backend.systemKey);
    expect((await backend.post("/api/query", who, key)).status).toBe(500);
  });

  it("3.1 on admin endpoints the acting part is ignored", async () => {
    const key = acting({ subject: "u", issuer: "https://i.example" });
    expect((await backend.get("/api/check_admin_key", key)).status).toBe(200);
  });

  it("3.1 nobody is acting with a plain admin key or none", async () => {
    for (const key of [backend.key, backend.systemKey, null]) {
      expect(at((await backend.post("/api/query", who, key)).json, "value")).toBeNull();
    }
  });
});

describe("HTTP actions with bad credentials", () => {
  it("3.1 they run as long as they do not ask for the identity", async () => {
    for (const authorization of [`Convex ${backend.badKey}`, "Bearer abc", "Basic YTpi", "x"]) {
      expect(await backend.site("/hello", { headers: { authorization } })).toMatchObject({
        status: 200,
        text: "hello",
      });
    }
  });

  it("3.1 asking for the identity throws the text of the refusal", async () => {
    const headers = { authorization: `Convex ${backend.badKey}` };
    const answer = await backend.site("/who", { headers });
    expect(answer.status).toBe(500);
    expect(at(answer.json, "code")).toMatch(
      /^\[Request ID: [0-9a-f]{16}\] Server Error: Uncaught Error: The provided admin key was invalid for this instance$/,
    );
  });

  it("3.1 with a good admin or system key the identity is null, acting users work", async () => {
    for (const key of [backend.key, backend.systemKey]) {
      expect(await backend.site("/who", { headers: { authorization: `Convex ${key}` } })).toMatchObject({
        status: 200,
        text: "null",
      });
    }
    const key = acting({ subject: "u", issuer: "https://i.example" });
    const answer = await backend.site("/who", { headers: { authorization: `Convex ${key}` } });
    expect(at(answer.json, "subject")).toBe("u");
  });
});

const unsupported = (name: string, version: string, how: string) =>
  `The Convex ${name} package at version ${version} is no longer supported. ${how}`;
const npm = "Update your Convex npm version with `npx convex update` or `npm update`.";
const refusedClients: [string, string, string][] = [
  [
    "foo",
    "InvalidClientVersion",
    "Failed to parse client version string: 'foo'. Expected format is {client_name}-{semver}, e.g. my-esolang-client-0.0.1",
  ],
  ["npm-0.19.1", "ClientVersionUnsupported", unsupported("npm", "0.19.1", npm)],
  ["npm-cli-0.19.1", "ClientVersionUnsupported", unsupported("npm-cli", "0.19.1", npm)],
  ["npm-cli-1.48", "ClientVersionUnsupported", unsupported("npm", "cli-1.48", npm)],
  [
    "python-0.0.2",
    "ClientVersionUnsupported",
    unsupported("python", "0.0.2", "Update your Convex python version with `pip install --upgrade convex`."),
  ],
  [
    "rust-0.0.1",
    "ClientVersionUnsupported",
    unsupported(
      "rust",
      "0.0.1",
      "Update your Convex rust version with `cargo update -p convex` or by updating `Cargo.toml`.",
    ),
  ],
];

describe("Convex-Client", () => {
  const query = (client: string) =>
    backend.send("/api/query", {
      method: "POST",
      key: null,
      body: JSON.stringify(who),
      headers: { ...jsonHeaders, "convex-client": client },
    });

  it.each(refusedClients)("3.1 %s is 400 %s", async (client, code, message) => {
    const answer = await query(client);
    expect(answer).toMatchObject({ status: 400, json: { code, message } });
    expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
    const site = await backend.site("/hello", { headers: { "convex-client": client } });
    expect(site).toMatchObject({ status: 400, json: { code } });
  });

  it.each([
    "npm-cli-1.48.0",
    "npm-cli-0.19.2",
    "npm-1.0.0",
    "npm-cli-1.48.0-alpha.1",
    "foo-bar",
    "action-1.0.0",
    "convex-action-1.2.3",
  ])("3.1 %s is accepted", async (client) => {
    const answer = await query(client);
    expect(answer.status).toBe(200);
    expect(answer.headers["x-convex-deprecation-state"]).toBeUndefined();
  });

  it("3.1 python-0.1.0 is accepted with a deprecation notice", async () => {
    const answer = await query("python-0.1.0");
    expect(answer.status).toBe(200);
    expect(answer.headers["x-convex-deprecation-state"]).toBe("UpgradeRequired");
    expect(answer.headers["x-convex-deprecation-message"]).toBeTruthy();
  });

  it("3.1 it is not looked at on /version and unknown paths", async () => {
    const headers = { "convex-client": "foo" };
    expect((await backend.send("/version", { headers })).status).toBe(200);
    expect((await backend.send("/api/nope", { headers })).status).toBe(404);
  });
});

describe("bodies", () => {
  const post = (path: string, body: string, headers: Record<string, string> = jsonHeaders) =>
    backend.send(path, { method: "POST", body, headers });
  const shape = "Failed to deserialize the JSON body into the target type: ";

  it.each([
    [
      "no content type",
      '{"path":"messages:who","args":{}}',
      {},
      "Expected request with `Content-Type: application/json`",
    ],
    [
      "text/plain",
      '{"path":"messages:who","args":{}}',
      { "content-type": "text/plain" },
      "Expected request with `Content-Type: application/json`",
    ],
    [
      "broken JSON",
      '{"path":',
      jsonHeaders,
      "Failed to parse the request body as JSON: path: EOF while parsing a value at line 1 column 8",
    ],
    ["a missing field", '{"args":{}}', jsonHeaders, `${shape}missing field \`path\` at line 1 column 11`],
    [
      "a wrong type",
      '{"path":5,"args":{}}',
      jsonHeaders,
      `${shape}path: invalid type: integer \`5\`, expected a string at line 1 column 9`,
    ],
  ])("3.1 %s is 400 BadJsonBody", async (_label, body, headers, message) => {
    expect(await post("/api/query", body, headers as Record<string, string>)).toMatchObject({
      status: 400,
      json: { code: "BadJsonBody", message },
    });
  });

  it("3.1 a charset is fine", async () => {
    const answer = await post("/api/query", JSON.stringify(who), { "content-type": "application/json; charset=utf-8" });
    expect(answer.status).toBe(200);
  });

  it("3.1 malformed query strings are 400 BadQueryArgs", async () => {
    const unknown = await backend.send("/api/import?format=nope", { method: "POST" });
    expect(unknown).toMatchObject({
      status: 400,
      json: {
        code: "BadQueryArgs",
        message:
          "Failed to deserialize query string: format: unknown variant `nope`, expected one of `csv`, `jsonLines`, `jsonArray`, `zip`",
      },
    });
    const missing = await backend.send("/api/storage/upload", { method: "POST", key: null });
    expect(at(missing.json, "message")).toBe("Failed to deserialize query string: missing field `token`");
  });

  it("3.1 function calls take bodies over 2 MiB", async () => {
    const x = "a".repeat(2_097_152);
    const answer = await post("/api/query", JSON.stringify({ path: "messages:echo", args: { x } }));
    expect(answer.status).toBe(200);
    expect(at(answer.json, "value")).toBe(x);
  });

  it("3.1 other JSON endpoints end at 2 MiB, with 400", async () => {
    const changes = Array.from({ length: 300 }, (_, n) => ({ name: `BIG${n}`, value: "x".repeat(8192) }));
    const answer = await post("/api/update_environment_variables", JSON.stringify({ changes }));
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "BadJsonBody", message: "Failed to buffer the request body: length limit exceeded" },
    });
    expect(await backend.env()).not.toHaveProperty("BIG0");
  });
});

describe("routing", () => {
  it.each([
    "/nope",
    "/api",
    "/api/",
    "/api/nope",
    "/api/version",
    "/version/",
    "//version",
    "/http",
    "/favicon.ico",
    "/api/check_admin_key/",
    "//api/check_admin_key",
  ])("1.5 GET %s is 404 with an empty body and no content type", async (path) => {
    const answer = await backend.get(path);
    expect(answer).toMatchObject({ status: 404, text: "" });
    expect(answer.headers["content-type"]).toBeUndefined();
    expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
  });

  it.each([
    ["POST", "/version"],
    ["OPTIONS", "/version"],
    ["PUT", "/version"],
    ["DELETE", "/version"],
    ["TRACE", "/version"],
    ["POST", "/instance_name"],
    ["POST", "/api/check_admin_key"],
  ])("1.5 %s %s is 405 with an empty body and an allow header", async (method, path) => {
    const answer = await backend.send(path, { method });
    expect(answer).toMatchObject({ status: 405, text: "" });
    expect(answer.headers.allow).toBe("GET,HEAD");
  });

  it("3.1 GET /api/query is a route of its own, but does not take args", async () => {
    const answer = await backend.get("/api/query");
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "BadQueryArgs", message: "Failed to deserialize query string: missing field `path`" },
    });
    expect(await backend.get("/api/query?path=messages:list&args=%7B%7D")).toMatchObject({
      status: 400,
      json: { code: "BadQueryArgs" },
    });
  });

  it("3.1 a preflight on /api mirrors the origin for a day", async () => {
    const answer = await backend.send("/api/query", {
      method: "OPTIONS",
      key: null,
      headers: {
        origin: "https://web.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
      },
    });
    expect(answer).toMatchObject({ status: 200, text: "" });
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": "https://web.example",
      "access-control-allow-methods": "GET,POST,OPTIONS,PATCH,DELETE,PUT",
      "access-control-max-age": "86400",
    });
  });

  it("1.5 plain endpoints", async () => {
    const version = await send(backend.url, "/version");
    expect(version.status).toBe(200);
    expect(version.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(version.headers["access-control-allow-credentials"]).toBeUndefined();
    expect(version.text).not.toMatch(/\n/);
    expect((await send(backend.url, "/instance_version")).text).toBe(version.text);
    expect(await send(backend.url, "/instance_name")).toMatchObject({ status: 200, text: backend.name });
    expect((await send(backend.url, "/")).text).toBe(
      "This Convex deployment is running. See https://docs.convex.dev/.",
    );
    expect((await send(backend.url, "/version?x=1")).text).toBe(version.text);
    for (const path of ["/version", "/instance_name", "/"]) {
      expect(await send(backend.url, path, { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    }
  });

  it("1.5 the site port answers /version itself and nothing of the API", async () => {
    expect((await backend.site("/version")).status).toBe(200);
    for (const path of ["/instance_name", "/", "/api/query", "/http/hello", "/version/"]) {
      expect(await backend.site(path)).toMatchObject({ status: 404, text: "No matching routes found" });
    }
    for (const method of ["POST", "OPTIONS"]) expect((await backend.site("/version", { method })).status).toBe(405);
  });

  it("1.5 /metrics needs no key, on both ports", async () => {
    for (const base of [backend.url, backend.siteUrl]) {
      const answer = await send(base, "/metrics");
      if (answer.status === 200) expect(answer.text).toMatch(/^# /);
      else
        expect(answer).toMatchObject({
          status: 404,
          json: { code: "MetricsDisabled", message: "/metrics endpoint disabled" },
        });
    }
  });

  it("1.5 POST /echo gives the body back", async () => {
    const body = Buffer.from([104, 105, 0, 255, 10]);
    const answer = await send(backend.url, "/echo", { method: "POST", body });
    expect(answer.status).toBe(200);
    expect(answer.bytes).toEqual(body);
    expect(answer.headers["content-type"]).toBeUndefined();
  });
});

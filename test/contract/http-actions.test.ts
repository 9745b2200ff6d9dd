import { describe, expect, it } from "vitest";
import { variant } from "./support/app.ts";
import { ownsProcess, useBackend, withProcess } from "./support/backend.ts";
import { type Answer, at, type Request, send } from "./support/http.ts";
import { push } from "./support/push.ts";

const backend = useBackend((target) => push(target, { files: { "http.ts": variant("http.lab.ts") } }));

/** Both ports, which the contract says answer the same. */
const ports: [string, (path: string, request?: Request) => Promise<Answer>][] = [
  ["the API port below /http", (path, request = {}) => send(backend.url, `/http${path}`, request)],
  ["the site port", (path, request = {}) => send(backend.siteUrl, path, request)],
];
const noActions = "This Convex deployment does not have HTTP actions enabled.";
const noRoute = "No matching routes found";
const json = "application/json";

describe("without routes", () => {
  it.skipIf(!ownsProcess)(
    "8.1 nothing deployed, or no http.ts: 404, plain text, on both ports and every method",
    async () => {
      await withProcess({}, async (fresh) => {
        const check = async () => {
          for (const [base, prefix] of [
            [fresh.url, "/http"],
            [fresh.siteUrl, ""],
          ] as const) {
            for (const [method, path] of [
              ["GET", "/hello"],
              ["GET", "/"],
              ["POST", "/hello"],
              ["OPTIONS", "/hello"],
            ] as const) {
              const answer = await send(base, `${prefix}${path}`, { method });
              expect(answer).toMatchObject({ status: 404, text: noActions });
              expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
            }
          }
        };
        await check();
        await push(fresh, { files: { "http.ts": null } });
        await check();
      });
    },
  );
});

describe.each(ports)("routing on %s", (_label, ask) => {
  const found: [string, string, string][] = [
    ["a route", "/hello", "hello"],
    ["an exact path before a prefix", "/pre/exact", "exact"],
    ["a longer prefix before a shorter", "/pre/deep/x", "deeper prefix"],
    ["the root", "/", "root"],
    ["dots are resolved before", "/pre/../hello", "hello"],
    ["the path of a prefix route", "/p/a/b", "/p/a/b"],
  ];
  it.each(found)("8.1 %s", async (_label2, path, text) => {
    expect(await ask(path)).toMatchObject({ status: 200, text });
  });

  it.each([
    ["an unknown path", "GET", "/nope"],
    ["another method", "POST", "/hello"],
    ["DELETE without route", "DELETE", "/hello"],
    ["a trailing slash", "GET", "/hello/"],
    ["a prefix without its slash", "GET", "/pre"],
    ["another case", "GET", "/HELLO"],
    ["OPTIONS without own route", "OPTIONS", "/hello"],
  ])("8.1 no route: %s", async (_label2, method, path) => {
    const answer = await ask(path, { method });
    expect(answer).toMatchObject({ status: 404, text: noRoute });
    expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("8.1 other methods are 405 with an empty body", async () => {
    expect(await ask("/any", { method: "PROPFIND" })).toMatchObject({ status: 405, text: "" });
  });

  it("8.1 HEAD runs the GET route without a body", async () => {
    expect(await ask("/hello", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect((await ask("/nope", { method: "HEAD" })).status).toBe(404);
  });

  it("8.1 query string and percent-encoding reach the function unchanged", async () => {
    expect(new URL(String(at((await ask("/any?a=1&b=%20x&c=%2F+y")).json, "url"))).search).toBe("?a=1&b=%20x&c=%2F+y");
    expect(at((await ask("/pre/a%20b/%2F/%C3%A9;x")).json, "url")).toMatch(/\/pre\/a%20b\/%2F\/%C3%A9;x$/);
  });

  it("8.1 bodies of POST, PUT, PATCH and DELETE arrive; those of GET and OPTIONS are dropped", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const answer = await ask("/any", { method, body: "body", headers: { "content-type": "text/plain" } });
      expect(answer.json).toMatchObject({ method, size: 4 });
    }
    for (const method of ["GET", "OPTIONS"])
      expect((await ask("/any", { method, body: "body" })).json).toMatchObject({ method, size: -1 });
  });

  it("8.1 bytes come back as they were sent, with the content type", async () => {
    const body = Buffer.from([0, 255, 10, 13, 0xc3, 0xa9]);
    const answer = await ask("/echo", { method: "POST", body, headers: { "content-type": "image/png" } });
    expect(answer.bytes).toEqual(body);
    expect(answer.headers["content-type"]).toBe("image/png");
  });

  it("8.1 chunked bodies work", async () => {
    expect((await ask("/any", { method: "POST", body: "hello", chunked: true })).json).toMatchObject({ size: 5 });
  });

  it("8.1 the request's URL follows the Host header; path without /http", async () => {
    expect(at((await ask("/any", { headers: { host: "app.example" } })).json, "url")).toBe("http://app.example/any");
  });

  it.each([
    [{ host: "app.example:8443", "x-forwarded-proto": "https" }, "https://app.example:8443/any"],
    [{ "x-forwarded-host": "pub.example", "x-forwarded-proto": "https" }, "https://pub.example/any"],
    [{ forwarded: "for=1.2.3.4;proto=https;host=fw.example" }, "https://fw.example/any"],
  ])("8.1 forwarding headers %j give %s", async (headers, url) => {
    expect(at((await ask("/any", { headers })).json, "url")).toBe(url);
  });

  it.each(["https,http", "bad scheme"])("8.1 x-forwarded-proto %j is 500", async (value) => {
    expect(await ask("/any", { headers: { "x-forwarded-proto": value } })).toMatchObject({
      status: 500,
      json: { code: "InternalServerError" },
    });
  });

  it("8.1 headers arrive as sent, in lower case, with an own request id", async () => {
    const answer = await ask("/any", { headers: { "X-Custom": "1", cookie: "a=1", "x-forwarded-for": "9.9.9.9" } });
    const headers = at(answer.json, "headers") as [string, string][];
    expect(headers).toContainEqual(["x-custom", "1"]);
    expect(headers).toContainEqual(["cookie", "a=1"]);
    expect(headers).toContainEqual(["x-forwarded-for", "9.9.9.9"]);
    expect(headers.find(([name]) => name === "convex-request-id")?.[1]).toMatch(/^[0-9a-f]{16}$/);
  });

  it("8.1 a preflight reaches the app's own route, nothing is added", async () => {
    const headers = { origin: "https://web.example", "access-control-request-method": "POST" };
    const answer = await ask("/any", { method: "OPTIONS", headers });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    expect(
      (await ask("/hello", { headers: { origin: "https://web.example" } })).headers["access-control-allow-origin"],
    ).toBeUndefined();
  });
});

describe.each(ports)("answers on %s", (_label, ask) => {
  it.each([200, 201, 204, 301, 302, 304, 400, 401, 404, 418, 500, 503])(
    "8.1 status %i passes unchanged, with headers",
    async (status) => {
      const answer = await ask(`/answer?status=${status}`);
      expect(answer.status).toBe(status);
      expect(answer.text).toBe(status === 204 || status === 304 ? "" : `status ${status}`);
      expect(answer.headers).toMatchObject({ "x-mine": "1", location: "/hello", "set-cookie": ["a=1", "b=2; Path=/"] });
      expect(answer.headers["access-control-allow-origin"]).toBe("https://web.example");
    },
  );

  it.each([99, 600, 999])("8.1 status %i is an exception of the runtime", async (status) => {
    const answer = await ask(`/answer?status=${status}`);
    expect(answer.status).toBe(500);
    expect(at(answer.json, "code")).toContain(
      "Uncaught RangeError: Failed to construct 'Response': The status provided is outside the range [200, 599].",
    );
  });

  it("8.1 an exception is 500 JSON with code and trace", async () => {
    const answer = await ask("/boom");
    expect(answer.status).toBe(500);
    expect(answer.headers["content-type"]).toBe(json);
    expect(at(answer.json, "code")).toMatch(/^\[Request ID: [0-9a-f]{16}\] Server Error: Uncaught Error: boom$/);
    expect(at(answer.json, "trace")).toMatch(/^Uncaught Error: boom\n {4}at /);
  });

  it("8.1 a stream comes complete", async () => {
    const answer = await ask("/stream?n=3&ms=5");
    expect(answer).toMatchObject({ status: 200, text: "chunk 0\nchunk 1\nchunk 2\n", cut: false });
  });

  it("8.1 a stream that is aborted after the head ends like a complete one", async () => {
    expect(await ask("/stream?n=3&ms=5&fail=1")).toMatchObject({
      status: 200,
      text: "chunk 0\nchunk 1\nchunk 2\n",
      cut: false,
    });
  });

  it("8.1 big bodies: 1 MiB both ways", async () => {
    const size = 1_048_576;
    expect((await ask("/any", { method: "POST", body: Buffer.alloc(size) })).json).toMatchObject({ size });
    expect((await ask(`/big?n=${size}`)).bytes).toHaveLength(size);
  });

  it("1.7 an answer over 20 MiB is cut after the headers, 20 MiB itself is not", async () => {
    expect((await ask("/big?n=20971520")).bytes).toHaveLength(20_971_520);
    const over = await ask("/big?n=20971521").catch(() => undefined);
    if (over !== undefined) expect(over.cut || over.bytes.length < 20_971_521).toBe(true);
  });

  it("1.7 a request over 20 MiB is not refused", async () => {
    expect((await ask("/any", { method: "POST", body: Buffer.alloc(20_971_521) })).json).toMatchObject({
      size: 20_971_521,
    });
  });
});

describe.each(ports)("credentials on %s", (_label, ask) => {
  it.each([
    [
      "no JWT",
      "Bearer abc",
      "error: Error: Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded parts separated by dots.",
    ],
    ["Basic", "Basic YTpi", "error: Error: Invalid admin key"],
    ["a bad admin key", "Convex lab|01aa", "error: Error: The provided admin key was invalid for this instance"],
  ])("8.1 %s: the action runs, getUserIdentity throws", async (_label2, authorization, identity) => {
    expect(at((await ask("/any", { headers: { authorization } })).json, "identity")).toBe(identity);
  });

  it("8.1 with a good admin key the identity is null", async () => {
    const answer = await ask("/any", { headers: { authorization: `Convex ${backend.key}` } });
    expect(answer.json).toMatchObject({ identity: null });
  });
});

describe("the two ports", () => {
  it("8.1 /version and /metrics of the site port are the backend's own; below /http they are the app's", async () => {
    expect((await send(backend.url, "/http/version")).text).toBe("mine");
    expect((await send(backend.url, "/http/metrics")).text).toBe("my metrics");
    expect((await send(backend.siteUrl, "/version")).text).not.toBe("mine");
    expect((await send(backend.siteUrl, "/metrics")).text).not.toBe("my metrics");
  });

  it("8.1 /http without slash is no path of the API port", async () => {
    expect(await send(backend.url, "/http")).toMatchObject({ status: 404, text: "" });
  });

  it("1.7 the site port serves 4 requests at a time, the others wait", async () => {
    const began = Date.now();
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(backend.siteUrl, "/slow?ms=400")));
    expect(answers.every((answer) => answer.text === "slept 400")).toBe(true);
    expect(Date.now() - began).toBeGreaterThanOrEqual(780);
    let served = 0;
    const slow = Array.from({ length: 5 }, () => send(backend.siteUrl, "/slow?ms=1500").then(() => served++));
    expect((await send(backend.siteUrl, "/version")).status).toBe(200);
    expect(served).toBe(0);
    await Promise.all(slow);
  });
});

import { describe, expect, it } from "vitest";
import packageJson from "../../../package.json" with { type: "json" };
import { BackendError } from "../../../src/deployment/backend-error.ts";
import { CLIENT_VERSION } from "../../../src/deployment/connection.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { type Answer, clientFor, collectLog, FakeBackend, jumpingClock, KEY, type Seen } from "./support.ts";

const serve = (answer: (seen: Seen) => Answer): Promise<FakeBackend> => new FakeBackend(answer).listen();
const wire = (status: number, code: string, message = "m"): Answer => ({ status, json: { code, message } });

async function thrown(work: Promise<unknown>): Promise<ActionError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ActionError);
  return error as ActionError;
}

describe("requests", () => {
  it("carry key, version and content type, and no double slash", async () => {
    await using backend = await serve(() => ({ json: { success: true } }));
    expect(await clientFor(`${backend.url}/`).checkAdminKey()).toBe("full");
    expect(CLIENT_VERSION).toBe(packageJson.version);
    expect(backend.seen[0]).toMatchObject({
      method: "GET",
      url: "/api/check_admin_key",
      headers: { authorization: `Convex ${KEY}`, "convex-client": `convex-selfhost-action-${CLIENT_VERSION}` },
    });
    expect(backend.seen[0]?.headers["content-type"]).toBeUndefined();
  });

  it("show no key to a backend whose name is asked", async () => {
    await using backend = await serve(() => ({ text: "mine" }));
    expect(await clientFor(backend.url).instanceName()).toBe("mine");
    expect(backend.seen[0]?.headers.authorization).toBeUndefined();
  });

  it("prove the key on old releases by another call", async () => {
    await using backend = await serve(({ url }) =>
      url === "/api/get_config_hashes" ? { json: { moduleHashes: [] } } : { status: 404 },
    );
    expect(await clientFor(backend.url).checkAdminKey()).toBe("decrypts");
    expect(backend.seen[1]?.json()).toMatchObject({ adminKey: KEY });
  });
});

describe("errors", () => {
  it.each([
    [wire(401, "BadAdminKey"), "admin-key-rejected"],
    [wire(403, "BadDeployKey"), "admin-key-forbidden"],
    [wire(403, "ReadOnlyAdminKey"), "admin-key-forbidden"],
    [wire(403, "OperationNotPermitted"), "admin-key-forbidden"],
    [wire(400, "BadJsonBody"), "backend-refused"],
    [wire(500, "InternalServerError"), "backend-refused"],
    [{ status: 502, text: "<html>bad gateway</html>" }, "backend-answer-unreadable"],
    [{ status: 200, text: "<html>hello</html>" }, "backend-answer-unreadable"],
    [{ status: 401, text: "" }, "backend-answer-unreadable"],
    [{ status: 301, text: "" }, "backend-answer-unreadable"],
  ] as [Answer, string][])("%j is %s and shows no key", async (answer, code) => {
    await using backend = await serve(() => answer);
    const error = await thrown(clientFor(backend.url).checkAdminKey());
    expect(error.code).toBe(code);
    expect(error).toBeInstanceOf(BackendError);
    expect(error.message).toContain(`GET ${backend.url}/api/check_admin_key`);
    expect(error.text).not.toContain(KEY.slice(30));
    expect(backend.seen).toHaveLength(1);
  });

  it("tell the site port from the API", async () => {
    await using backend = await serve(() => ({
      status: 404,
      text: "This Convex deployment does not have HTTP actions enabled.",
    }));
    const error = await thrown(clientFor(backend.url).checkAdminKey());
    expect(error.code).toBe("backend-route-missing");
    expect(error.message).toContain("port of the HTTP actions");
  });

  it("name a backend that is not there, after bounded tries", async () => {
    const backend = await serve(() => ({}));
    const url = backend.url;
    await backend[Symbol.asyncDispose]();
    const clock = jumpingClock();
    const lines = collectLog();
    const error = await thrown(clientFor(url, lines, clock).instanceName());
    expect(error.code).toBe("backend-unreachable");
    expect(clock.slept).toEqual([200, 400, 800]);
    expect(lines.all).toHaveLength(3);
    expect(lines.all[0]).toContain("ECONNREFUSED");
  });
});

describe("tries", () => {
  const failing = (times: number, answer: Answer, then: Answer): ((seen: Seen) => Answer) => {
    let left = times;
    return () => {
      left -= 1;
      return left >= 0 ? answer : then;
    };
  };
  const ok = { json: { status: "success", value: 1, logLines: [] } };

  it("are repeated for 503 where twice is as good as once", async () => {
    await using backend = await serve(failing(2, wire(503, "OptimisticConcurrencyControlFailure"), ok));
    expect(await clientFor(backend.url).call("query", "a:b", {})).toMatchObject({ ok: true, value: 1 });
    expect(backend.seen).toHaveLength(3);
  });

  it("are not repeated for a mutation that may have happened", async () => {
    await using backend = await serve(failing(1, wire(503, "OptimisticConcurrencyControlFailure"), ok));
    expect((await thrown(clientFor(backend.url).call("mutation", "a:b", {}))).message).toContain("503");
    expect(backend.seen).toHaveLength(1);
    backend.answer(() => ({ cut: true }));
    await thrown(clientFor(backend.url).call("function", "a:b", {}));
  });

  it("are repeated for a mutation that was refused at the door (429)", async () => {
    await using backend = await serve(failing(1, wire(429, "TooManyRequests"), ok));
    expect(await clientFor(backend.url).call("mutation", "a:b", {})).toMatchObject({ ok: true });
  });
});

describe("functions", () => {
  it("fail as a result, without the request id", async () => {
    const errorMessage =
      "[Request ID: 0123456789abcdef] Server Error\nUncaught Error: boom\n    at handler (../convex/messages.ts:9:41)\n";
    await using backend = await serve(() => ({
      json: { status: "error", errorMessage, errorData: { n: 1 }, logLines: ["[LOG] 'x'"] },
    }));
    expect(await clientFor(backend.url).call("function", "a:b", { x: 1 }, { componentPath: "widget" })).toEqual({
      ok: false,
      message: "Uncaught Error: boom\n    at handler (../convex/messages.ts:9:41)",
      data: { n: 1 },
      logLines: ["[LOG] 'x'"],
    });
    expect(backend.seen[0]?.json()).toEqual({ path: "a:b", args: { x: 1 }, format: "json", componentPath: "widget" });
  });

  it("fail with 560 on early releases", async () => {
    await using backend = await serve(() => ({
      status: 560,
      json: { status: "error", errorMessage: "Uncaught Error: boom" },
    }));
    expect(await clientFor(backend.url).call("query", "a:b", {})).toMatchObject({
      ok: false,
      message: "Uncaught Error: boom",
    });
  });

  it("of the backend itself that fail are errors", async () => {
    await using backend = await serve(() => ({
      json: { status: "error", errorMessage: "[Request ID: 01] Server Error\nOperation query not permitted\n" },
    }));
    const error = await thrown(clientFor(backend.url).systemQuery("_system/cli/tables", {}));
    expect(error.message).toContain("_system/cli/tables: Operation query not permitted");
  });
});

describe("variables", () => {
  it("are listed, by the system query on old releases", async () => {
    await using backend = await serve(() => ({ json: { environmentVariables: { A: "x\ny" } } }));
    expect(await clientFor(backend.url).listVariables()).toEqual(new Map([["A", "x\ny"]]));
    backend.answer(({ url }) =>
      url === "/api/query"
        ? { json: { status: "success", value: [{ _id: "1", name: "B", value: "2" }] } }
        : { status: 404 },
    );
    expect(await clientFor(backend.url).listVariables()).toEqual(new Map([["B", "2"]]));
  });

  it("go in one request, in several only when one would be too long for the backend", async () => {
    await using backend = await serve(() => ({}));
    const client = clientFor(backend.url);
    await client.updateVariables([
      { name: "A", value: 'two\nlines "\u0000"' },
      { name: "B", value: null },
    ]);
    expect(backend.seen.map((seen) => seen.json())).toEqual([
      {
        changes: [
          { name: "A", value: 'two\nlines "\u0000"' },
          { name: "B", value: null },
        ],
      },
    ]);
    backend.seen.length = 0;
    const many = Array.from({ length: 600 }, (_, index) => ({ name: `N${index}`, value: "é".repeat(4000) }));
    await client.updateVariables(many);
    expect(backend.seen.length).toBeGreaterThan(1);
    for (const { body } of backend.seen) expect(body.length).toBeLessThan(2 * 1024 * 1024);
    expect(backend.seen.flatMap((seen) => (seen.json() as { changes: unknown[] }).changes)).toEqual(many);
    backend.seen.length = 0;
    await client.updateVariables([]);
    expect(backend.seen).toHaveLength(0);
  });

  it.each([
    ["EnvironmentVariableNameInvalid", "env-name-invalid"],
    ["EnvironmentVariableNameTooLong", "env-name-too-long"],
    ["EnvironmentVariableValueTooLarge", "env-value-too-long"],
    ["EnvVarLimitMet", "env-too-many"],
    ["EnvVarNameForbidden", "env-name-reserved"],
    ["EnvVarTotalSizeLimitMet", "env-too-large"],
    ["AuthConfigMissingEnvironmentVariable", "auth-variable-missing"],
    ["InvalidAuthConfig", "auth-config-invalid"],
    ["SomethingNew", "backend-refused"],
  ])("refused as %s end in %s", async (code, ours) => {
    await using backend = await serve(() => wire(400, code, "The text."));
    const error = await thrown(clientFor(backend.url).updateVariables([{ name: "A", value: "v" }]));
    expect(error.code).toBe(ours);
    expect(error.message).toContain("The text.");
  });
});

describe("pausing", () => {
  it("twice is as good as once", async () => {
    await using backend = await serve(() => wire(400, "DeploymentAlreadyInState"));
    await clientFor(backend.url).pause();
    backend.answer(() => wire(400, "UnpauseDeploymentFailed"));
    await clientFor(backend.url).unpause();
    expect(backend.seen.map(({ url }) => url)).toEqual(["/api/v1/pause_deployment", "/api/v1/unpause_deployment"]);
    await thrown(clientFor(backend.url).pause());
  });

  it("tells the origins where the release knows them", async () => {
    await using backend = await serve(() => ({ json: { convexCloudUrl: "http://a", convexSiteUrl: "http://b" } }));
    expect(await clientFor(backend.url).canonicalUrls()).toEqual({ cloud: "http://a", site: "http://b" });
    backend.answer(() => ({ status: 404 }));
    expect(await clientFor(backend.url).canonicalUrls()).toBeUndefined();
  });
});

import { beforeEach, describe, expect, it } from "vitest";
import { variant } from "./support/app.ts";
import { useBackend } from "./support/backend.ts";
import { at } from "./support/http.ts";
import { evaluatePush, expectOk, push, requestFor, startPush } from "./support/push.ts";

const backend = useBackend();
const fn = `import { query } from "./_generated/server";\nexport const x = query({ args: {}, handler: () => 1 });\n`;
const app = (config: string) => ({ base: false, files: { "m.ts": fn, "auth.config.ts": config } });
const site = app(variant("auth.config.site.ts"));
const fromEnv = app(variant("auth.config.env.ts"));

beforeEach(async () => {
  for (const requestDestination of ["convexCloud", "convexSite"]) {
    await backend.post("/api/v1/update_canonical_url", { requestDestination, url: null });
  }
  await push(backend, { base: false, files: { "m.ts": fn } });
  await backend.clearEnv();
});

const deployed = async () => {
  await backend.setEnv({ AUTH_DOMAIN: "https://issuer.example", OTHER: "1" });
  await push(backend, fromEnv);
};
const missing = (prefix: string) =>
  new RegExp(
    `^${prefix}Environment variable AUTH_DOMAIN is used in auth config file but its value was not set\\n {4}at <anonymous> \\(\\.\\./convex/auth\\.config\\.ts:\\d+:\\d+\\)\\n$`,
  );

describe("a push", () => {
  it("4.4 a variable that is not set: AuthConfigMissingEnvironmentVariable from evaluate_push already", async () => {
    const request = await requestFor(backend, fromEnv);
    for (const call of [evaluatePush, startPush]) {
      const answer = await call(backend, request);
      expect(answer).toMatchObject({ status: 400, json: { code: "AuthConfigMissingEnvironmentVariable" } });
      expect(at(answer.json, "message")).toMatch(missing("Hit an error while pushing:\\n"));
    }
  });

  it("4.4 a domain that is no URL: InvalidAuthConfig", async () => {
    await backend.setEnv({ AUTH_DOMAIN: "not a url" });
    expect(await evaluatePush(backend, await requestFor(backend, fromEnv))).toMatchObject({
      status: 400,
      json: {
        code: "InvalidAuthConfig",
        message:
          'Hit an error while pushing:\nThe pushed auth config is invalid: Invalid provider domain URL "not a url": invalid international domain name',
      },
    });
  });

  const list = "auth config file must include a list of provider credentials: ";
  it.each([
    [
      "no default export",
      "export const x = 1;",
      "auth config file is missing default export. To learn more, see the auth documentation at https://docs.convex.dev/auth.",
    ],
    ["no providers", "export default {};", `${list}missing field \`providers\` `],
    [
      "OIDC without applicationID",
      'export default { providers: [{ domain: "https://a.example" }] };',
      `${list}data did not match any variant of untagged enum SerializedAuthInfo `,
    ],
    [
      "an unknown algorithm",
      'export default { providers: [{ type: "customJwt", issuer: "https://a.example", applicationID: "x", jwks: "https://a.example/j", algorithm: "HS256" }] };',
      `${list}data did not match any variant of untagged enum SerializedAuthInfo `,
    ],
  ])("4.4 %s: InvalidAuthConfig", async (_label, config, message) => {
    expect(await startPush(backend, await requestFor(backend, app(`${config}\n`)))).toMatchObject({
      status: 400,
      json: {
        code: "InvalidAuthConfig",
        message: `Hit an error while pushing:\nThe pushed auth config is invalid: ${message}`,
      },
    });
  });

  it("4.4 it throws: InvalidAuthConfig with the exception", async () => {
    const answer = await startPush(
      backend,
      await requestFor(backend, app('throw new Error("auth boom");\nexport default 1;\n')),
    );
    expect(at(answer.json, "code")).toBe("InvalidAuthConfig");
    expect(at(answer.json, "message")).toMatch(
      /^Hit an error while pushing:\nThe pushed auth config is invalid: Uncaught Error: auth boom\n {4}at /,
    );
  });

  it("4.4 accepted providers in file order; authDiff with OIDC before customJwt, algorithm quoted twice", async () => {
    const config = `export default { providers: [
      { domain: "https://b.example", applicationID: "convex" },
      { type: "customJwt", issuer: "https://custom.example", applicationID: "x", jwks: "https://x.example/jwks", algorithm: "RS256" },
      { domain: "https://a.example", applicationID: "other" },
      { type: "customJwt", issuer: "https://custom2.example", jwks: "https://x.example/jwks", algorithm: "ES256" },
    ] };\n`;
    const { started, finished } = await push(backend, app(config));
    expect(at(started, "appAuth")).toEqual([
      { applicationID: "convex", domain: "https://b.example" },
      {
        type: "customJwt",
        applicationID: "x",
        issuer: "https://custom.example",
        jwks: "https://x.example/jwks",
        algorithm: "RS256",
      },
      { applicationID: "other", domain: "https://a.example" },
      {
        type: "customJwt",
        applicationID: null,
        issuer: "https://custom2.example",
        jwks: "https://x.example/jwks",
        algorithm: "ES256",
      },
    ]);
    const added = at(finished, "authDiff", "added") as string[];
    expect(added.slice(0, 2)).toEqual([
      '{"applicationID":"convex","domain":"https://b.example"}',
      '{"applicationID":"other","domain":"https://a.example"}',
    ]);
    expect(added).toContain(
      '{"algorithm":"\\"RS256\\"","applicationID":"x","issuer":"https://custom.example","jwks":"https://x.example/jwks","type":"customJwt"}',
    );
    expect(at(finished, "componentDiffs", "", "moduleDiff", "added")).toEqual(["auth.config.js"]);
    const removed = await push(backend, app("export default { providers: [] };\n"));
    expect(at(removed.started, "appAuth")).toEqual([]);
    expect(new Set(at(removed.finished, "authDiff", "removed") as string[])).toEqual(new Set(added));
  });

  it("4.4 removing auth.config removes the providers", async () => {
    await deployed();
    const { started, finished } = await push(backend, { base: false, files: { "m.ts": fn } });
    expect(at(started, "appAuth")).toEqual([]);
    expect(finished).toMatchObject({
      authDiff: { added: [], removed: ['{"applicationID":"convex","domain":"https://issuer.example"}'] },
      componentDiffs: { "": { moduleDiff: { added: [], removed: ["auth.config.js"] } } },
    });
  });

  it("4.4 CONVEX_SITE_URL is the site origin, http:// is fine", async () => {
    const { started } = await push(backend, site);
    const urls = (await backend.get("/api/v1/get_canonical_urls")).json;
    expect(at(started, "appAuth")).toEqual([{ applicationID: "convex", domain: at(urls, "convexSiteUrl") }]);
  });
});

describe("variables against a deployed auth.config", () => {
  it("4.1 deleting a variable that it reads is refused, alone and with other changes", async () => {
    await deployed();
    for (const changes of [{ AUTH_DOMAIN: null }, { AUTH_DOMAIN: null, OTHER: "3" }]) {
      const answer = await backend.setEnv(changes);
      expect(answer).toMatchObject({ status: 400, json: { code: "AuthConfigMissingEnvironmentVariable" } });
      expect(at(answer.json, "message")).toMatch(missing(""));
    }
    expect(await backend.env()).toEqual({ AUTH_DOMAIN: "https://issuer.example", OTHER: "1" });
  });

  it.each([
    ["not a url", "invalid international domain name"],
    ["", "empty host"],
  ])("4.1 setting it to %j is refused", async (value, why) => {
    await deployed();
    expect(await backend.setEnv({ AUTH_DOMAIN: value, OTHER: "9" })).toMatchObject({
      status: 400,
      json: {
        code: "InvalidAuthConfig",
        message: `This change would make the auth config invalid: Invalid provider domain URL "${value}": ${why}`,
      },
    });
    expect((await backend.env())["OTHER"]).toBe("1");
  });

  it("4.1 another URL is in force at once: the next push has no authDiff", async () => {
    await deployed();
    expect((await backend.setEnv({ AUTH_DOMAIN: "https://other.example" })).status).toBe(200);
    const { started, finished } = await push(backend, fromEnv);
    expect(at(started, "appAuth")).toEqual([{ applicationID: "convex", domain: "https://other.example" }]);
    expect(at(finished, "authDiff")).toEqual({ added: [], removed: [] });
  });

  it("4.1 other variables are free, and everything is after auth.config was removed", async () => {
    await deployed();
    expect((await backend.setEnv({ OTHER: null, NEW: "x" })).status).toBe(200);
    await push(backend, { base: false, files: { "m.ts": fn } });
    expect((await backend.setEnv({ AUTH_DOMAIN: null })).status).toBe(200);
  });

  it("4.1 a variable used as jwks is not checked", async () => {
    await backend.setEnv({ CUSTOM_JWKS_URL: "https://x.example/jwks" });
    await push(backend, app(variant("auth.config.custom-jwt.ts")));
    for (const value of ["garbage", "http://x.example", ""])
      expect((await backend.setEnv({ CUSTOM_JWKS_URL: value })).status).toBe(200);
  });
});

describe("canonical URLs", () => {
  const set = (requestDestination: string, url?: string | null) =>
    backend.post("/api/v1/update_canonical_url", { requestDestination, ...(url === undefined ? {} : { url }) });
  const urls = async () => (await backend.get("/api/v1/get_canonical_urls")).json;

  it("4.1 a change shows everywhere at once; null and absent go back to the start option", async () => {
    const before = await urls();
    expect(await set("convexSite", "https://site.example/x")).toMatchObject({ status: 200, text: "" });
    await set("convexCloud", "https://cloud.example");
    expect(await urls()).toEqual({ convexCloudUrl: "https://cloud.example", convexSiteUrl: "https://site.example/x" });
    const get = (name: string) => backend.value("query", "_system/cli/queryEnvironmentVariables:get", { name });
    expect(at(await get("CONVEX_SITE_URL"), "value")).toBe("https://site.example/x");
    expect(await backend.value("query", "_system/cli/convexUrl:cloudUrl")).toBe("https://cloud.example");
    await set("convexSite", null);
    await set("convexCloud");
    expect(await urls()).toEqual(before);
  });

  it("4.1 without an auth.config that reads it nothing is checked", async () => {
    for (const url of ["not a url", "", "ftp://x", "https://x.example/"]) {
      expect((await set("convexSite", url)).status).toBe(200);
      expect(at(await urls(), "convexSiteUrl")).toBe(url);
    }
  });

  it("4.1 with one it is evaluated again, with the same errors", async () => {
    await push(backend, site);
    expect((await set("convexSite", "https://site.example")).status).toBe(200);
    const request = await requestFor(backend, site);
    expect(at(expectOk(await startPush(backend, request), "start_push"), "appAuth")).toEqual([
      { applicationID: "convex", domain: "https://site.example" },
    ]);
    const why: [string, string][] = [
      ["not a url", "invalid international domain name"],
      ["site.example", "Does not look like a URL (must have a scheme or end with a top-level domain)"],
      ["", "empty host"],
    ];
    for (const [url, text] of why) {
      expect(await set("convexSite", url)).toMatchObject({
        status: 400,
        json: {
          code: "InvalidAuthConfig",
          message: `This change would make the auth config invalid: Invalid provider domain URL "${url}": ${text}`,
        },
      });
    }
    expect(at(await urls(), "convexSiteUrl")).toBe("https://site.example");
  });

  it("4.1 an unknown destination is 400", async () => {
    expect(await set("nope", "https://x.example")).toMatchObject({ status: 400, json: { code: "BadJsonBody" } });
  });
});

import { describe, expect, it } from "vitest";
import { type Names, originsOn } from "../../../src/platform/origins.ts";

const on = (names: Partial<Names>, repository = "acme/app"): ReturnType<typeof originsOn> =>
  originsOn(
    { platform: "server", app: undefined, domain: undefined, siteDomain: undefined, workspace: undefined, ...names },
    repository,
  );

describe("the origins", () => {
  it.each<[Partial<Names>, string, string]>([
    [{ platform: "server", domain: "api.example.com" }, "https://api.example.com", "https://api.example.com/http"],
    [
      { platform: "coolify", domain: "API.example.com", siteDomain: "site.example.com" },
      "https://api.example.com",
      "https://site.example.com",
    ],
    [
      { platform: "dokploy", domain: "convex.example.com" },
      "https://convex.example.com",
      "https://convex.example.com/http",
    ],
    [
      { platform: "railway", domain: "convex-production-1a2b.up.railway.app" },
      "https://convex-production-1a2b.up.railway.app",
      "https://convex-production-1a2b.up.railway.app/http",
    ],
    [
      { platform: "kubernetes", domain: "api.example.com", siteDomain: "site.example.com" },
      "https://api.example.com",
      "https://site.example.com",
    ],
    [{ platform: "fly", app: "acme-convex" }, "https://acme-convex.fly.dev", "https://acme-convex.fly.dev/http"],
    [{ platform: "fly" }, "https://acme-app-convex.fly.dev", "https://acme-app-convex.fly.dev/http"],
    [
      { platform: "fly", app: "acme-convex", domain: "convex.example.com" },
      "https://convex.example.com",
      "https://convex.example.com/http",
    ],
    [
      { platform: "coder", domain: "*.coder.example.com", workspace: "alice/dev" },
      "https://convex--dev--alice.coder.example.com",
      "https://convex-site--dev--alice.coder.example.com",
    ],
    [
      { platform: "coder", domain: "*--apps.example.com", workspace: "Alice/dev.main" },
      "https://convex--main--dev--alice--apps.example.com",
      "https://convex-site--main--dev--alice--apps.example.com",
    ],
    [
      { platform: "coder", domain: "Convex--dev--alice.coder.example.com" },
      "https://convex--dev--alice.coder.example.com",
      "https://convex-site--dev--alice.coder.example.com",
    ],
  ])("of %j are %s and %s", (names, cloud, site) => {
    expect(on(names)).toMatchObject({ cloud, site });
  });

  it("of a server that nothing is said of are not made up", () => {
    expect(on({})).toBeUndefined();
  });

  it("have the name of Fly's app beside them", () => {
    expect(on({ platform: "fly" }, "Acme/My-App")?.app).toBe("acme-my-app-convex");
    expect(on({ platform: "fly", domain: "acme-convex.fly.dev" })?.app).toBe("acme-convex");
  });
});

describe("names that cannot be", () => {
  it.each<[Partial<Names>, string, string]>([
    [{ domain: "https://api.example.com" }, "input-invalid", "it is a URL"],
    [{ domain: "api.example.com:8443" }, "input-invalid", "port or a path"],
    [{ domain: "api.example.com/http" }, "input-invalid", "port or a path"],
    [{ domain: "localhost" }, "input-invalid", "cannot reach it"],
    [{ domain: "dev.localhost" }, "input-invalid", "cannot reach it"],
    [{ domain: "10.0.0.4" }, "input-invalid", "cannot reach it"],
    [{ domain: "convex" }, "input-invalid", "no dot"],
    [{ domain: "my_app.example.com" }, "input-invalid", '"my_app" cannot stand'],
    [{ domain: `${"a".repeat(64)}.example.com` }, "input-invalid", "64 characters"],
    [{ domain: `${"a.".repeat(130)}com` }, "input-invalid", "253 characters"],
    [{ domain: "api.example.com", siteDomain: "api.example.com" }, "input-invalid", "has that name already"],
    [{ siteDomain: "site.example.com" }, "input-missing", "names no API"],
    [{ platform: "railway" }, "input-missing", "leads to port 3210"],
    [{ platform: "railway", app: "acme" }, "input-conflict", "it is Fly's"],
    [{ platform: "fly", app: "Acme_Convex" }, "input-invalid", '"Acme_Convex"'],
    [{ platform: "fly", workspace: "alice/dev" }, "input-conflict", "it is Coder's"],
    [{ platform: "fly", domain: "api.example.com" }, "input-missing", "another app, an empty one"],
    [{ platform: "coder", workspace: "alice/dev" }, "input-missing", "wildcard access URL"],
    [{ platform: "coder", domain: "*.coder.example.com" }, "input-missing", "owner/workspace"],
    [{ platform: "coder", domain: "coder.example.com", workspace: "alice/dev" }, "input-conflict", "no * at its start"],
    [{ platform: "coder", domain: "coder.example.com" }, "input-invalid", "neither the address"],
    [
      { platform: "coder", domain: "convex-site--dev--alice.coder.example.com" },
      "input-invalid",
      "neither the address",
    ],
    [{ platform: "coder", domain: "convex--dev.coder.example.com" }, "input-invalid", "neither the address"],
    [{ platform: "coder", domain: `convex--${"a".repeat(50)}--ab.example.com` }, "input-invalid", "DNS takes 63"],
    [{ platform: "fly", app: "acme", domain: "other.fly.dev" }, "input-conflict", "different apps"],
    [{ platform: "coder", domain: "*.localhost", workspace: "alice/dev" }, "input-invalid", "cannot reach it"],
    [{ platform: "coder", domain: "*.coder.example.com", workspace: "dev" }, "input-invalid", "no owner and workspace"],
    [
      { platform: "coder", domain: "*.coder.example.com", workspace: "alice/my--dev" },
      "input-invalid",
      "single hyphens",
    ],
    [
      { platform: "coder", domain: "*.coder.example.com", workspace: `alice/${"dev-".repeat(12)}x` },
      "input-invalid",
      "DNS takes 63",
    ],
    [
      { platform: "coder", domain: "*.coder.example.com", workspace: "alice/dev", siteDomain: "s.example.com" },
      "input-conflict",
      "makes both names",
    ],
  ])("%j: %s, %s", (names, code, text) => {
    expect(() => on(names)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
  });

  it("say that a repository's name makes no app", () => {
    expect(() => on({ platform: "fly" }, "acme/my_app")).toThrow(expect.objectContaining({ code: "input-missing" }));
  });
});

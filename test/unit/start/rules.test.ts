import { describe, expect, it } from "vitest";
import { readStartInputs, type StartInputs } from "../../../src/start/inputs.ts";
import { checkStartInputs } from "../../../src/start/rules.ts";

const inputs = (changes: Partial<StartInputs> = {}): StartInputs => ({ ...readStartInputs(() => ""), ...changes });

describe("checkStartInputs", () => {
  it("accepts the defaults", () => {
    expect(() => checkStartInputs(inputs())).not.toThrow();
  });
  it.each<[string, Partial<StartInputs>, RegExp]>([
    ["binary-path under docker", { binaryPath: "/x" }, /binary-path is set, but runtime is docker/],
    ["a version for an executable", { runtime: "binary", binaryPath: "/x", version: "2026-09-28-5c7cb5b" }, /both set/],
    ["data of a service container", { serviceContainer: "abc", data: "v" }, /data cannot change it/],
    [
      "the binary runtime and a service container",
      { serviceContainer: "abc", runtime: "binary" },
      /runtime: binary cannot change it/,
    ],
    ["a dashboard without docker", { runtime: "binary", dashboard: true }, /dashboard needs docker/],
    [
      "a dashboard without a digest",
      { dashboard: true, dashboardImage: "x/dashboard:latest" },
      /no digest of its image/,
    ],
    ["equal ports", { port: 4000, sitePort: 4000 }, /both 4000/],
    ["one origin of two", { cloudOrigin: "http://x" }, /Only one of cloud-origin and site-origin/],
    ["two databases", { postgresUrl: "postgres://u@h", mysqlUrl: "mysql://u@h" }, /both set/],
    ["a database to create, but no server", { createDatabase: true }, /neither postgres-url nor mysql-url/],
    ["a key that nothing uses", { jwtPrivateKey: "-----BEGIN" }, /auth is none/],
    ["an app that nothing uses", { appUrl: "http://localhost:5173" }, /auth is none/],
    ["functions of a paused deployment", { paused: true, run: ["a:b"] }, /paused deployment runs no functions/],
    ["an instance name with a separator", { instanceName: "a|b" }, /instance-name: "a\|b"/],
    ["a host name to bind", { bind: "localhost" }, /bind: "localhost"/],
    ["a variable that the runner uses", { urlVariables: ["PATH"] }, /url-variables: "PATH"/],
    ["a variable with a bad name", { urlVariables: ["VITE-URL"] }, /url-variables: "VITE-URL"/],
    ["an app-url of two lines", { auth: "convex-auth", appUrl: "http://localhost\n:5173" }, /app-url: /],
    ["an app-url that is none", { auth: "convex-auth", appUrl: "localhost" }, /app-url: "localhost"/],
  ])("refuses %s", (_, changes, message) => {
    expect(() => checkStartInputs(inputs(changes))).toThrow(message);
  });
  it("accepts two free ports", () => {
    expect(() => checkStartInputs(inputs({ port: 0, sitePort: 0 }))).not.toThrow();
  });
});

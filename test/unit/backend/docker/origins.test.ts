import { describe, expect, it } from "vitest";
import type { BackendSpec } from "../../../../src/backend/backend.ts";
import { backendVariables } from "../../../../src/backend/docker/environment.ts";
import { judgeOrigins } from "../../../../src/backend/docker/origin-findings.ts";
import { forwardsFor, networkOrigins, publishedOrigins } from "../../../../src/backend/docker/origins.ts";

const spec: BackendSpec = {
  instanceName: "chat",
  instanceSecret: "1".repeat(64),
  bind: "127.0.0.1",
  port: 3210,
  sitePort: 3211,
  backendEnv: {},
};

describe("origins of a backend that we start", () => {
  it("needs no forwarder on the ports of the image, on any loopback address", () => {
    expect(forwardsFor(publishedOrigins(spec, "127.0.0.1", 3210, 3211))).toEqual([]);
    expect(forwardsFor(publishedOrigins(spec, "127.0.0.2", 3210, 3211))).toEqual([]);
  });

  it("forwards other ports to those of the image", () => {
    const origins = publishedOrigins(spec, "127.0.0.1", 4000, 4001);
    expect(origins).toEqual({
      url: "http://127.0.0.1:4000",
      siteUrl: "http://127.0.0.1:4001",
      cloudOrigin: "http://127.0.0.1:4000",
      siteOrigin: "http://127.0.0.1:4001",
    });
    expect(forwardsFor(origins)).toEqual([
      { host: "127.0.0.1", port: 4000, target: 3210 },
      { host: "127.0.0.1", port: 4001, target: 3211 },
    ]);
  });

  it("listens on both loopbacks for localhost, and on IPv6 where it was asked for", () => {
    const given = { ...spec, cloudOrigin: "http://localhost:8080", siteOrigin: "http://[::1]:8081" };
    expect(forwardsFor(publishedOrigins(given, "127.0.0.1", 3210, 3211))).toEqual([
      { host: "127.0.0.1", port: 8080, target: 3210 },
      { host: "::1", port: 8080, target: 3210 },
      { host: "::1", port: 8081, target: 3211 },
    ]);
  });

  it("takes given origins as they are, and forwards none that is not a loopback", () => {
    const given = { ...spec, cloudOrigin: "https://api.example.com", siteOrigin: "https://localhost:8443" };
    const origins = publishedOrigins(given, "127.0.0.1", 4000, 4001);
    expect(origins).toMatchObject({ cloudOrigin: "https://api.example.com", siteOrigin: "https://localhost:8443" });
    expect(forwardsFor(origins)).toEqual([]);
  });

  it("refuses crossed ports", () => {
    const crossed = publishedOrigins(spec, "127.0.0.1", 3211, 3210);
    expect(() => forwardsFor(crossed)).toThrow(expect.objectContaining({ code: "origin-port-crossed" }));
  });

  it("uses the name on a job's network", () => {
    const origins = networkOrigins(spec, "chat");
    expect(origins).toMatchObject({ url: "http://chat:3210", siteOrigin: "http://chat:3211" });
    expect(forwardsFor(origins)).toEqual([]);
  });
});

describe("backendVariables", () => {
  const origins = publishedOrigins(spec, "127.0.0.1", 3210, 3211);

  it("sets what the image's scripts read, and lets nothing else replace it", () => {
    const variables = backendVariables(
      { ...spec, postgresUrl: "postgresql://u:p@db", backendEnv: { INSTANCE_NAME: "x", RUST_LOG: "warn" } },
      origins,
    );
    expect(variables).toEqual({
      NO_COLOR: "1",
      DISABLE_BEACON: "true",
      RUST_LOG: "warn",
      INSTANCE_NAME: "chat",
      INSTANCE_SECRET: "1".repeat(64),
      CONVEX_CLOUD_ORIGIN: "http://127.0.0.1:3210",
      CONVEX_SITE_ORIGIN: "http://127.0.0.1:3211",
      POSTGRES_URL: "postgresql://u:p@db",
    });
  });

  it.each(["", "false", "0", "No", "off"])(
    "leaves DISABLE_BEACON out for %j, which is the only way to have a beacon",
    (value) => {
      expect(backendVariables({ ...spec, backendEnv: { DISABLE_BEACON: value } }, origins)).not.toHaveProperty(
        "DISABLE_BEACON",
      );
    },
  );
});

describe("judgeOrigins", () => {
  const reached = { url: "http://127.0.0.1:3210", siteUrl: "http://127.0.0.1:3211" };

  it.each([
    ["http://127.0.0.1:3210", "http://127.0.0.1:3211"],
    ["http://localhost:3210", "http://localhost:3211"],
  ])("is content with %s", (cloud, site) => {
    expect(judgeOrigins({ cloud, site }, reached)).toEqual([]);
  });

  it("gives the two lines when origins are missing", () => {
    expect(judgeOrigins({ cloud: undefined, site: "" }, reached)).toEqual([
      {
        what: expect.stringMatching(/no CONVEX_CLOUD_ORIGIN.*no CONVEX_SITE_ORIGIN/),
        lines: ["CONVEX_CLOUD_ORIGIN: http://127.0.0.1:3210", "CONVEX_SITE_ORIGIN: http://127.0.0.1:3211"],
      },
    ]);
  });

  it.each([
    ["http://127.0.0.1:3210/", "ends in a slash or a path"],
    ["http://127.0.0.1:3210/base", "ends in a slash or a path"],
    ["http://convex:3210", "this job reaches it at http://127.0.0.1:3210"],
    ["https://127.0.0.1:3210", "this job reaches it at"],
    ["http://127.0.0.1:3211", "this job reaches it at"],
    ["not a url", "is no URL"],
  ])("objects to %s", (cloud, words) => {
    const [finding] = judgeOrigins({ cloud, site: "http://127.0.0.1:3211" }, reached);
    expect(finding?.what).toContain(words);
  });

  it("tells a service on remapped ports to publish them as they are", () => {
    const remapped = { url: "http://127.0.0.1:49153", siteUrl: "http://127.0.0.1:49154" };
    const [finding] = judgeOrigins({ cloud: remapped.url, site: remapped.siteUrl }, remapped);
    expect(finding?.what).toContain("nothing listens inside of the container");
    expect(finding?.what).toContain('"127.0.0.1:3210:3210"');
    expect(finding?.lines).toEqual([
      "CONVEX_CLOUD_ORIGIN: http://127.0.0.1:3210",
      "CONVEX_SITE_ORIGIN: http://127.0.0.1:3211",
    ]);
  });

  it("wants the name of the job's network", () => {
    const onNetwork = { url: "http://convex:3210", siteUrl: "http://convex:3211" };
    expect(
      judgeOrigins({ cloud: "http://127.0.0.1:3210", site: "http://127.0.0.1:3211" }, onNetwork)[0]?.lines,
    ).toEqual(["CONVEX_CLOUD_ORIGIN: http://convex:3210", "CONVEX_SITE_ORIGIN: http://convex:3211"]);
  });
});

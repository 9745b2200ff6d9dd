import { describe, expect, it } from "vitest";
import { jobVariables, warnOfOverwritten } from "../../../src/start/exports.ts";
import { machine } from "../backend/support.ts";

const EXPORTS = {
  url: "http://127.0.0.1:3210",
  siteUrl: "http://127.0.0.1:3211",
  adminKey: "lab|01",
  urlVariables: ["VITE_CONVEX_URL"],
};

function warnings(env: Record<string, string>): string[] {
  const { deps, told } = machine();
  warnOfOverwritten(env, EXPORTS, deps.log);
  return told.warning;
}

it("points later steps to this backend, and empties what would send them elsewhere", () => {
  expect(Object.fromEntries(jobVariables(EXPORTS))).toEqual({
    CONVEX_SELF_HOSTED_URL: EXPORTS.url,
    CONVEX_SELF_HOSTED_ADMIN_KEY: EXPORTS.adminKey,
    CONVEX_SITE_URL: EXPORTS.siteUrl,
    VITE_CONVEX_URL: EXPORTS.url,
    CONVEX_DEPLOY_KEY: "",
    CONVEX_DEPLOYMENT_TOKEN: "",
    CONVEX_DEPLOYMENT: "",
  });
});

describe("what the job had set before", () => {
  it.each([{}, { CONVEX_SELF_HOSTED_URL: "", CONVEX_DEPLOYMENT: "" }, { CONVEX_SELF_HOSTED_URL: EXPORTS.url }])(
    "is no reason to warn: %j",
    (env) => {
      expect(warnings(env)).toEqual([]);
    },
  );

  it("is named where it was the URL of another backend", () => {
    expect(warnings({ CONVEX_SELF_HOSTED_URL: "http://127.0.0.1:4000" })).toEqual([
      expect.stringMatching(/^CONVEX_SELF_HOSTED_URL was http:\/\/127\.0\.0\.1:4000; .*http:\/\/127\.0\.0\.1:3210\./),
    ]);
  });

  it("is named, without its value, where it would have sent commands to another deployment", () => {
    const [warning, ...more] = warnings({ CONVEX_DEPLOY_KEY: "prod:lab|secret", CONVEX_DEPLOYMENT: "dev:lab" });
    expect(more).toEqual([]);
    expect(warning).toMatch(/^CONVEX_DEPLOY_KEY, CONVEX_DEPLOYMENT was set/);
    expect(warning).not.toContain("secret");
  });
});

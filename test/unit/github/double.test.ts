import { describe, expect, it } from "vitest";
import { BOT, GitHubApi } from "../../support/github/api.ts";
import { TOKEN } from "./support.ts";

const COMMIT = "1".repeat(40);

async function call(api: GitHubApi, method: string, path: string, body?: unknown, token = TOKEN) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: { authorization: `token ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === "" ? undefined : (JSON.parse(text) as unknown),
    headers: response.headers,
  };
}
const REPO = "/repos/acme/chat";

describe("the double of GitHub's API", () => {
  it.each([
    ["POST", `${REPO}/issues/7/comments`, {}],
    ["POST", `${REPO}/issues/7/comments`, { body: 7 }],
    ["POST", `${REPO}/issues/7/comments`, undefined],
    ["POST", `${REPO}/deployments`, { environment: "x" }],
    ["POST", `${REPO}/deployments/1/statuses`, { state: "sucess" }],
    ["POST", `${REPO}/deployments/1/statuses`, { state: "success", auto_inactive: "false" }],
  ])("refuses what GitHub would: %s %s %j", async (method, path, body) => {
    await using api = await new GitHubApi(TOKEN).listen();
    expect(await call(api, method, path, body)).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining("Validation Failed") },
    });
    expect(api.defects).toEqual([]);
  });
  it("says 404 to what it does not know, and remembers it", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    expect((await call(api, "GET", `${REPO}/pages`)).status).toBe(404);
    expect((await call(api, "GET", "/repos/acme/other/pulls")).status).toBe(404);
    expect(api.defects).toEqual(["unknown: GET /repos/acme/chat/pages", "unknown: GET /repos/acme/other/pulls"]);
  });
  it("knows its token, and what that may", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    expect((await call(api, "GET", `${REPO}/pulls`, undefined, "other")).status).toBe(401);
    api.readOnly = true;
    expect((await call(api, "GET", `${REPO}/pulls`)).status).toBe(200);
    expect(await call(api, "POST", `${REPO}/issues/7/comments`, { body: "x" })).toMatchObject({
      status: 403,
      body: { message: "Resource not accessible by integration", status: "403" },
    });
  });
  it("retires deployments by GitHub's rule, which is why that is never asked for", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    const deploy = async (transient: boolean, auto?: boolean): Promise<void> => {
      const fields = { ref: COMMIT, auto_merge: false, environment: "x", transient_environment: transient };
      const { id } = (await call(api, "POST", `${REPO}/deployments`, fields)).body as { id: number };
      const status = { state: "success", ...(auto === undefined ? {} : { auto_inactive: auto }) };
      await call(api, "POST", `${REPO}/deployments/${id}/statuses`, status);
    };
    await deploy(false, false);
    await deploy(true, false);
    await deploy(false, false);
    await deploy(true);
    expect(api.state.deployments.map(({ statuses }) => statuses.at(-1)?.state)).toEqual([
      "inactive",
      "success",
      "inactive",
      "success",
    ]);
    expect((await call(api, "POST", `${REPO}/deployments`, { ref: COMMIT })).status).toBe(202);
    expect(api.defects).toEqual([]);
  });
  it("has releases, refs and commits", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    const assets = [{ name: "a.zip", size: 1, digest: `sha256:${"0".repeat(64)}` }];
    api.state.releases.push(
      { tag: "precompiled-1", prerelease: true, assets },
      { tag: "v1.0.0", prerelease: false, assets: [] },
    );
    api.state.refs.set("heads/feat/a", COMMIT);
    const get = async (path: string) => (await call(api, "GET", `${REPO}${path}`)).body;
    expect(await get("/releases")).toHaveLength(2);
    expect(await get("/releases/latest")).toMatchObject({ tag_name: "v1.0.0" });
    expect(await get("/releases/tags/precompiled-1")).toMatchObject({ assets: [{ digest: assets[0]?.digest }] });
    expect(await get("/git/ref/heads/feat/a")).toMatchObject({ object: { sha: COMMIT } });
    expect(await get("/commits/feat%2Fa")).toMatchObject({ sha: COMMIT });
    expect(await get("/commits/nope")).toMatchObject({ status: "404" });
    expect(api.defects).toEqual([]);
  });
  it("gives lists in pages", async () => {
    await using api = await new GitHubApi(TOKEN).listen();
    for (let count = 0; count < 35; count += 1) api.add(BOT, `${count}`);
    const first = await call(api, "GET", `${REPO}/issues/7/comments`);
    expect(first.body).toHaveLength(30);
    expect(first.headers.get("link")).toMatch(/page=2>; rel="next"$/);
    expect((await call(api, "GET", `${REPO}/issues/7/comments?page=2`)).body).toHaveLength(5);
  });
});

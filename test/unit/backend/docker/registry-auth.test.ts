import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { registryAuth } from "../../../../src/backend/docker/registry-auth.ts";
import { scratch, testDeps } from "./support.ts";

function withConfig(config: object): { DOCKER_CONFIG: string } {
  const folder = scratch();
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  return { DOCKER_CONFIG: folder };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const decoded = (header: string | undefined): unknown => JSON.parse(Buffer.from(header ?? "", "base64url").toString());

describe("registryAuth", () => {
  it("is nothing without a login", async () => {
    expect(await registryAuth(testDeps(), "ghcr.io")).toBeUndefined();
    const env = withConfig({ auths: { "other.io": { auth: base64("a:b") } } });
    expect(await registryAuth(testDeps(env), "ghcr.io")).toBeUndefined();
  });

  it("takes the file's login, with a colon in the password, and masks it", async () => {
    const deps = testDeps(withConfig({ auths: { "ghcr.io": { auth: base64("ada:open:sesame") } } }));
    expect(decoded(await registryAuth(deps, "ghcr.io"))).toEqual({
      username: "ada",
      password: "open:sesame",
      serveraddress: "ghcr.io",
    });
    expect(deps.masked).toEqual(["open:sesame"]);
  });

  it("knows Docker's own registry by its old URL, and identity tokens", async () => {
    const deps = testDeps(withConfig({ auths: { "https://index.docker.io/v1/": { identitytoken: "token-1" } } }));
    expect(decoded(await registryAuth(deps, "docker.io"))).toEqual({
      identitytoken: "token-1",
      serveraddress: "https://index.docker.io/v1/",
    });
  });

  it("asks the registry's helper, with the server on its standard input", async () => {
    const env = withConfig({ credHelpers: { "ghcr.io": "vault" }, credsStore: "desktop" });
    const deps = testDeps(env, () => ({ stdout: '{"ServerURL":"ghcr.io","Username":"ada","Secret":"s3cret-1"}' }));
    expect(decoded(await registryAuth(deps, "ghcr.io"))).toMatchObject({ username: "ada", password: "s3cret-1" });
    expect(deps.ran).toEqual([{ command: "docker-credential-vault", args: ["get"], input: "ghcr.io" }]);
    expect(deps.masked).toEqual(["s3cret-1"]);
  });

  it("understands a helper's token", async () => {
    const deps = testDeps(withConfig({ credsStore: "desktop" }), () => ({
      stdout: '{"Username":"<token>","Secret":"refresh-token"}',
    }));
    expect(decoded(await registryAuth(deps, "ghcr.io"))).toMatchObject({ identitytoken: "refresh-token" });
  });

  it("goes without when the helper has none, and falls back to the file", async () => {
    const auths = { "ghcr.io": { auth: base64("ada:from-file") } };
    const none = () => ({ exitCode: 1, stdout: "credentials not found in native keychain" });
    expect(await registryAuth(testDeps(withConfig({ credsStore: "x" }), none), "ghcr.io")).toBeUndefined();
    const deps = testDeps(withConfig({ credsStore: "x", auths }), none);
    expect(decoded(await registryAuth(deps, "ghcr.io"))).toMatchObject({ password: "from-file" });
  });

  it("warns of a helper that cannot be used, without a word of its answer", async () => {
    const missing = testDeps(withConfig({ credsStore: "gone" }));
    expect(await registryAuth(missing, "ghcr.io")).toBeUndefined();
    expect(missing.lines).toEqual([{ level: "warning", message: expect.stringContaining("docker-credential-gone") }]);
    const broken = testDeps(withConfig({ credsStore: "broken" }), () => ({ stdout: "secret-not-json" }));
    expect(await registryAuth(broken, "ghcr.io")).toBeUndefined();
    expect(JSON.stringify(broken.lines)).not.toContain("secret-not-json");
  });
});

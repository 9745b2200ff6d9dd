import { afterEach, describe, expect, it } from "vitest";
import { issueKey } from "../../standin/generate-key.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import type { Like } from "../../standin/types.ts";

let standin: Standin | undefined;
afterEach(() => standin?.stop());

async function ask(like: Like, path: string, options: { key?: string; body?: unknown } = {}) {
  standin ??= await startStandin({ like });
  const headers = { authorization: `Convex ${options.key ?? standin.adminKey}`, "content-type": "application/json" };
  const sent = options.body === undefined ? {} : { method: "POST", body: JSON.stringify(options.body) };
  const response = await fetch(standin.url + path, { headers, ...sent });
  return `${response.status} ${await response.text()}`;
}

const variables = (count: number) => ({
  changes: Array.from({ length: count }, (_, i) => ({ name: `V${i}`, value: "x" })),
});
const update = "/api/update_environment_variables";

describe("differences between releases (contract 11)", () => {
  it("first: legacy keys only, no v1, no key check, 100 variables", async () => {
    standin = await startStandin({ like: "first" });
    const current = issueKey(standin.instanceName, standin.instanceSecret);
    expect(await ask("first", update, { body: variables(1), key: current })).toContain("401");
    expect(await ask("first", update, { body: variables(100) })).toBe("200 ");
    expect(await ask("first", update, { body: variables(101) })).toContain("The environment variable limit (100)");
    for (const path of ["check_admin_key", "list_environment_variables", "v1/get_canonical_urls"]) {
      expect(await ask("first", `/api/${path}`)).toBe("404 ");
    }
  });

  it("m14: both formats, key check wants write access, 1000 variables", async () => {
    standin = await startStandin();
    const key = issueKey(standin.instanceName, standin.instanceSecret, { legacy: true });
    const readOnly = issueKey(standin.instanceName, standin.instanceSecret, { readOnly: true });
    expect(await ask("m14", "/api/check_admin_key", { key })).toBe('200 {"success":true}');
    expect(await ask("m14", "/api/check_admin_key", { key: readOnly })).toContain('403 {"code":"ReadOnlyAdminKey"');
    expect(await ask("m14", update, { body: variables(1001) })).toContain("The environment variable limit (1000)");
  });

  it("head: the key check tells rights, refusals name the operation, 512 variables and 512 KiB", async () => {
    standin = await startStandin({ like: "head" });
    const key = issueKey(standin.instanceName, standin.instanceSecret, { readOnly: true });
    expect(await ask("head", "/api/check_admin_key")).toBe('200 {"success":true,"allowedOps":[],"isReadOnly":false}');
    expect(await ask("head", "/api/check_admin_key", { key })).toContain('"isReadOnly":true');
    expect(await ask("head", update, { body: variables(1), key })).toContain('403 {"code":"OperationNotPermitted"');
    expect(await ask("head", update, { body: variables(513) })).toContain("The environment variable limit (512)");
    const large = { changes: variables(70).changes.map(({ name }) => ({ name, value: "x".repeat(8192) })) };
    expect(await ask("head", update, { body: large })).toContain("EnvVarTotalSizeLimitMet");
    const longName = { changes: [{ name: "N".repeat(256), value: "x" }] };
    expect(await ask("head", update, { body: longName })).toBe("200 ");
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { afterRequestId, type Backend, useBackend } from "./support/backend.ts";
import { probe } from "./support/features.ts";
import { type Answer, at, jsonHeaders } from "./support/http.ts";
import { push } from "./support/push.ts";

type Kind = "none" | "bad" | "sys" | "ro" | "good";
interface Row {
  readonly method: string;
  readonly path: string;
  readonly body?: Record<string, unknown>;
  readonly answers: Partial<Record<Kind, string>>;
}
const file = new URL("./recordings/permissions.json", import.meta.url);
const rows = JSON.parse(readFileSync(file, "utf8")) as Row[];

const backend = useBackend((target) => push(target));

const keyOf = (kind: Kind): string | null =>
  ({ none: null, bad: backend.badKey, sys: backend.systemKey, ro: backend.readOnlyKey, good: backend.key })[kind];

function ask(target: Backend, row: Row, kind: Kind): Promise<Answer> {
  const key = keyOf(kind);
  const inBody = row.body !== undefined && "adminKey" in row.body;
  const body = inBody ? { ...row.body, adminKey: key ?? "" } : row.body;
  return target.send(row.path, {
    method: row.method,
    key: inBody ? null : key,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: jsonHeaders }),
  });
}

/** In the short form of the recordings: `403 BadDeployKey`, `200 success`, `200 error: <first sentence>`. */
function summary(answer: Answer): string {
  const code = at(answer.json, "code");
  if (typeof code === "string") return `${answer.status} ${code}`;
  const status = at(answer.json, "status");
  if (status === "error") {
    const text = afterRequestId(at(answer.json, "errorMessage")).trim();
    return `${answer.status} error: ${text.split(". Did you")[0]}`;
  }
  return status === "success" ? `${answer.status} success` : String(answer.status);
}

const label = (row: Row) => {
  const what = typeof row.body?.["path"] === "string" ? ` ${row.body["path"]}` : "";
  return `${row.method} ${row.path}${what}`;
};

describe("endpoints by kind of credential", () => {
  it.each(rows.map((row) => [label(row), row] as const))("3.3 %s", async (_label, row) => {
    const { operationPermissions } = await probe(backend);
    for (const kind of ["none", "bad", "sys", "ro", "good"] as const) {
      const expected = row.answers[kind];
      if (expected === undefined) continue;
      // Later releases judge read-only keys by operation, so only M14's answers are known exactly.
      if (kind === "ro" && operationPermissions) continue;
      expect(`${kind}: ${summary(await ask(backend, row, kind))}`).toBe(`${kind}: ${expected}`);
    }
  });

  it("3.3 an admin key pauses and unpauses", async () => {
    expect(await backend.post("/api/v1/pause_deployment", {})).toMatchObject({ status: 200, text: "" });
    expect(await backend.post("/api/v1/unpause_deployment", {})).toMatchObject({ status: 200, text: "" });
  });

  it("3.3 answers of an admin key: empty, [], null, or the message", async () => {
    const calls: [string, unknown, number, string][] = [
      ["/api/v1/update_canonical_url", { requestDestination: "convexSite", url: null }, 200, ""],
      ["/api/delete_tables", { tableNames: [] }, 200, ""],
      ["/api/deploy2/report_push_completed", { adminKey: backend.key, spans: [] }, 200, "null"],
    ];
    for (const [path, body, status, text] of calls)
      expect(await backend.post(path, body)).toMatchObject({ status, text });
    expect(await backend.get("/api/v1/list_log_streams")).toMatchObject({ status: 200, text: "[]" });
  });

  it("3.3 messages of refused cancels and unknown ids", async () => {
    const message = async (path: string, body: unknown, key?: string | null) =>
      at((await backend.post(path, body, key)).json, "message");
    expect(await message("/api/export/cancel/x", undefined, null)).toBe(
      "Must have system or admin identity to cancel cloud export",
    );
    expect(await message("/api/export/set_expiration/x", { expirationTsNs: 1 }, null)).toBe(
      "Must have system or admin identity to set export expiration",
    );
    expect(await message("/api/perform_import", { importId: "x" })).toBe("invalid import id x");
    expect(at((await backend.get("/api/export/zip/1")).json, "message")).toBe("The requested export 1 was not found");
  });

  it("3.3 a read-only key runs queries by /api/run, but neither mutations nor actions (M14)", async () => {
    const key = backend.readOnlyKey;
    const run = (path: string, args: unknown) => backend.post(`/api/run/messages/${path}`, { args }, key);
    expect(at((await run("hidden", {})).json, "value")).toBe("internal");
    const mutation = await run("send", { author: "a", body: "b" });
    expect(mutation.status).toBe(403);
    expect(at(mutation.json, "message")).toBe("You do not have permission to run Mutation functions.");
    expect(at((await run("slow", { ms: 1 })).json, "message")).toBe(
      "You do not have permission to run Action functions.",
    );
  });

  it("3.3 /api/run runs public functions for anybody, internal ones only with an admin or read-only key", async () => {
    const hidden = (key: string | null) => backend.post("/api/run/messages/hidden", { args: {} }, key);
    for (const key of [null, backend.systemKey]) {
      expect(summary(await hidden(key))).toBe("200 error: Could not find function for 'messages:hidden'");
      expect(summary(await backend.post("/api/run/messages/slow", { args: { ms: 1 } }, key))).toBe("200 success");
    }
    expect(summary(await hidden(backend.key))).toBe("200 success");
    expect(summary(await hidden(backend.badKey))).toBe("401 BadAdminKey");
  });

  it("3.3 a mutation cannot be run by run_test_function", async () => {
    const source = `import{mutation}from"convex:/_system/repl/wrappers.js";export default mutation({handler:async()=>1})`;
    const body = { adminKey: backend.key, args: {}, bundle: { path: "testQuery.js", source }, format: "json" };
    const answer = await backend.post("/api/run_test_function", body, null);
    expect(answer).toMatchObject({ status: 400, json: { code: "InvalidModules" } });
    expect(answer.text).toContain("does not provide an export named 'mutation'");
  });

  it("11 until later than M14: deployment_info and change_deploy_state are unknown paths", async () => {
    if ((await probe(backend)).operationPermissions) return;
    for (const path of ["/api/v1/get_deployment_info", "/api/deployment_info"]) {
      expect(await backend.get(path)).toMatchObject({ status: 404, text: "" });
    }
    for (const path of ["/api/change_deploy_state", "/api/deploy2/evaluate_schema"]) {
      expect(await backend.post(path, {})).toMatchObject({ status: 404, text: "" });
    }
  });
});

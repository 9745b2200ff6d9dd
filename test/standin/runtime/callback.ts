/** Where Node actions call back (contract 8.3). The path is the stand-in's own: only its child process knows it. */
import { jsonResponse } from "../server.ts";
import { object, string } from "../shapes.ts";
import type { Routes } from "../types.ts";
import { CallError } from "./isolate.ts";
import type { Runner } from "./runner.ts";

const LIMIT = 32 * 1024 * 1024;
const shape = object<{ op: string; args: string }>("ActionCallbackRequest", { op: string, args: string });

export function addCallbackRoute(routes: Routes, runner: Runner): void {
  routes.route("POST", "/api/actions/callback", async (request) => {
    const { op, args } = await request.json(shape, { limit: LIMIT });
    const token = String(request.headers["convex-action-callback-token"] ?? "");
    try {
      return jsonResponse(JSON.stringify({ ok: true, value: await runner.callback(token, op, args) }));
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      return jsonResponse(JSON.stringify({ ok: false, message: error.message, data: error.data }));
    }
  });
}

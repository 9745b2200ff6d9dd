import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Standin } from "../standin/standin.ts";

function call(standin: Standin, path: string, body?: Uint8Array | string): Promise<Response> {
  return fetch(`${standin.url}${path}`, {
    method: "POST",
    headers: { Authorization: `Convex ${standin.adminKey}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body }),
  });
}

/** The import of the one-call form (contract 7.3); what it answers. */
export async function importZip(standin: Standin, path: string): Promise<{ status: number; text: string }> {
  const answer = await call(standin, "/api/import?format=zip&mode=replaceAll", await readFile(path));
  return { status: answer.status, text: await answer.text() };
}

/** An export with file storage. */
export async function exportZip(standin: Standin, path: string): Promise<string> {
  const requested = await call(standin, "/api/export/request/zip?includeStorage=true");
  if (!requested.ok) throw new Error(await requested.text());
  for (;;) {
    const query = JSON.stringify({ path: "_system/cli/exports:getLatest", args: {}, format: "convex_encoded_json" });
    const { value } = (await (await call(standin, "/api/query", query)).json()) as {
      value: { _id: string; state: string };
    };
    if (value.state !== "completed") {
      await sleep(20);
      continue;
    }
    const file = await fetch(`${standin.url}/api/export/zip/${value._id}`, {
      headers: { Authorization: `Convex ${standin.adminKey}` },
    });
    await writeFile(path, Buffer.from(await file.arrayBuffer()));
    return path;
  }
}

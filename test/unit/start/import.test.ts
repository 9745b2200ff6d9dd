import { join } from "node:path";
import { expect, it } from "vitest";
import type { ImportSource } from "../../../src/deployment/import.ts";
import { importAll } from "../../../src/start/deploy.ts";
import { readStartInputs } from "../../../src/start/inputs.ts";
import type { Prepared } from "../../../src/start/prepare.ts";
import { clientFor, directoryWith, FakeBackend, fakeDeps, isTableSize } from "../deployment/support.ts";

/** What `importAll` looks at. */
function preparedWith(imports: readonly ImportSource[]): Prepared {
  return {
    inputs: readStartInputs(() => ""),
    workspace: "/",
    directory: "/",
    instanceSecret: "",
    backendEnv: {},
    calls: [],
    imports,
    variables: () => {
      throw new Error("no variables are asked for");
    },
    fresh: true,
  };
}

/** A backend whose imports pass through the states of contract 7.3, one after the other. */
async function importing(): Promise<FakeBackend> {
  let polls = 0;
  const waiting = { state: "waiting_for_confirmation", message_to_confirm: "table | create | delete\n---\na | 2 | 0" };
  const done = { state: "completed", num_rows_written: "2", timestamp: "1" };
  return await new FakeBackend(({ url, body }) => {
    if (url.startsWith("/api/import/start_upload")) return { json: { uploadToken: "{}" } };
    if (url.startsWith("/api/import/upload_part")) return { json: "part" };
    if (url.startsWith("/api/import/finish_upload")) return { json: { importId: "km1" } };
    if (url.startsWith("/api/query") && isTableSize(body)) return { json: { status: "success", value: "0" } };
    if (url.startsWith("/api/query")) {
      polls += 1;
      return { json: { status: "success", value: { _id: "km1", state: polls % 2 === 1 ? waiting : done } } };
    }
    return {};
  }).listen();
}

it("replaces everything by a snapshot, and adds the rows of a table's file", async () => {
  await using files = await directoryWith({ "seed.zip": "x", "rooms.jsonl": "{}\n", "more.csv": "a\n1\n" });
  await using backend = await importing();
  const at = (name: string): string => join(files.path, name);
  const prepared = preparedWith([
    { path: at("seed.zip"), format: "zip" },
    { path: at("rooms.jsonl"), format: "jsonLines", table: "rooms" },
    { path: at("more.csv"), format: "csv", table: "more" },
  ]);
  expect(await importAll(prepared, clientFor(backend.url), fakeDeps())).toBe("6 documents from 3 files");
  const asked = backend.seen.filter(({ url }) => url.includes("finish_upload")).map((seen) => seen.json());
  expect(asked).toMatchObject([
    { import: { format: "zip", mode: "replaceAll" } },
    { import: { format: "jsonLines", mode: "append", tableName: "rooms" } },
    { import: { format: "csv", mode: "append", tableName: "more" } },
  ]);
});

it("says nothing where nothing is to be imported", async () => {
  await using backend = await importing();
  expect(await importAll(preparedWith([]), clientFor(backend.url), fakeDeps())).toBeUndefined();
  expect(backend.seen).toEqual([]);
});

import type { DeploymentClient } from "../deployment/client.ts";
import { asRecord } from "../deployment/json.ts";
import { ActionError } from "../runner/errors.ts";

/** The CLI's own limit (contract 5.3). */
const LARGE_TABLE = 100_000;

export interface IndexGuardOptions {
  readonly client: DeploymentClient;
  readonly liveModules: ReadonlyMap<string, string>;
  readonly largeTable?: number;
}

const ALLOW = "set allow-index-deletion: true for this one deploy.";

/**
 * Finds what the backend would delete unasked: all indexes with a schema file that has vanished, and indexes of large
 * tables (contract 5.2). Tables of components are left to the CLI, which asks about them too.
 * @param schema the schema module that is pushed; null without one
 * @param indexDiffs of evaluate_push's answer
 */
export async function indexGuard(
  options: IndexGuardOptions,
  schema: unknown,
  indexDiffs: unknown,
): Promise<ActionError | undefined> {
  if (schema === null && options.liveModules.has("schema.js")) {
    return new ActionError(
      "schema-vanished",
      "This deploy has no schema file and what is live has one: the backend would delete all indexes without asking. Nothing was deployed.",
      `Check that the checkout has schema.ts and that working-directory is right; if it is meant, ${ALLOW}`,
    );
  }
  const removed = asRecord(asRecord(indexDiffs)[""])["removed_indexes"];
  const names = (Array.isArray(removed) ? removed : []).map((index) => String(asRecord(index)["name"]));
  const tables = [...new Set(names.map((name) => name.split(".")[0] ?? ""))];
  const sizes = await Promise.all(
    tables.map((tableName) => options.client.systemQuery("_system/cli/tableSize", { tableName })),
  );
  const large = new Map(tables.map((table, at) => [table, Number(sizes[at])]));
  const found = names.filter(
    (name) => (large.get(name.split(".")[0] ?? "") ?? 0) >= (options.largeTable ?? LARGE_TABLE),
  );
  if (found.length === 0) return undefined;
  const listed = found.map((name) => {
    const count = large.get(name.split(".")[0] ?? "") ?? 0;
    return `${name} (${count.toLocaleString("en-US")} documents)`;
  });
  return new ActionError(
    "index-deletion",
    `This deploy would delete indexes of large tables: ${listed.join(", ")}. Queries of older clients may still use them, and building them again takes long. Nothing was deployed.`,
    `Keep the indexes in schema.ts; if they are to go, ${ALLOW}`,
  );
}

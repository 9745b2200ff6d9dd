/**
 * Writes the tables of inputs and outputs in README.md from action.yml.
 *
 *     node bin/readme.ts           rewrites README.md
 *     node bin/readme.ts --check   fails when README.md is not what action.yml says
 */
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parse } from "yaml";

const root = resolve(import.meta.dirname, "..");

interface Entry {
  readonly description: string;
  readonly default?: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, Entry>>;
  readonly outputs: Readonly<Record<string, Entry>>;
}

export async function readAction(folder = root): Promise<Action> {
  return parse(await readFile(join(folder, "action.yml"), "utf8")) as Action;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

function inputTable({ inputs }: Action): string {
  const rows = Object.entries(inputs).map(([name, entry]) => {
    const fallback = (entry.default ?? "") === "" ? "" : `\`${entry.default}\``;
    return `| \`${name}\` | ${cell(entry.description)} | ${cell(fallback)} |`;
  });
  return ["| Input | What | Default |", "|---|---|---|", ...rows].join("\n");
}

function outputTable({ outputs }: Action): string {
  const rows = Object.entries(outputs).map(([name, entry]) => `| \`${name}\` | ${cell(entry.description)} |`);
  return ["| Output | What |", "|---|---|", ...rows].join("\n");
}

function replaceBetween(text: string, name: string, table: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md lacks the markers ${begin} and ${end}.`);
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
}

/** README.md as it should be. */
export function withTables(readme: string, action: Action): string {
  return replaceBetween(replaceBetween(readme, "inputs", inputTable(action)), "outputs", outputTable(action));
}

if (import.meta.main) {
  const path = join(root, "README.md");
  const before = await readFile(path, "utf8");
  const after = withTables(before, await readAction());
  if (process.argv.includes("--check")) {
    if (before !== after) throw new Error("README.md does not fit action.yml: run node bin/readme.ts");
  } else await writeFile(path, after);
}

/**
 * Writes the tables of inputs and outputs into the page of each action from its action.yml.
 *
 *     node bin/readme.ts           rewrites the pages
 *     node bin/readme.ts --check   fails when a page is not what the action.yml says
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

/** Page and folder of every action. */
export const PAGES: readonly (readonly [page: string, folder: string])[] = [
  ["README.md", "."],
  ["docs/deploy.md", "deploy"],
  ["docs/doctor.md", "doctor"],
  ["docs/backup.md", "backup"],
  ["docs/restore.md", "restore"],
  ["docs/upgrade.md", "upgrade"],
  ["docs/previews.md", "preview"],
];

export async function readAction(folder = "."): Promise<Action> {
  return parse(await readFile(join(root, folder, "action.yml"), "utf8")) as Action;
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
  if (from < 0 || to < from) throw new Error(`The page lacks the markers ${begin} and ${end}.`);
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
}

/** The page as it should be. */
export function withTables(page: string, action: Action): string {
  return replaceBetween(replaceBetween(page, "inputs", inputTable(action)), "outputs", outputTable(action));
}

if (import.meta.main) {
  for (const [page, folder] of PAGES) {
    const path = join(root, page);
    const before = await readFile(path, "utf8");
    const after = withTables(before, await readAction(folder));
    if (!process.argv.includes("--check")) await writeFile(path, after);
    else if (before !== after) throw new Error(`${page} does not fit its action.yml: run node bin/readme.ts`);
  }
}

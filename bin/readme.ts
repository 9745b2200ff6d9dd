/**
 * Writes the tables of inputs and outputs into the page of each action from its action.yml, and those of the reusable
 * workflows into docs/workflows.md.
 *
 *     node bin/readme.ts           rewrites the pages
 *     node bin/readme.ts --check   fails when a page is not what the action.yml says
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
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
  ["docs/find-backup.md", "find-backup"],
  ["docs/issue.md", "issue"],
  ["docs/project.md", "project"],
  ["docs/platforms.md", "platform"],
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

interface Called {
  readonly inputs?: Readonly<Record<string, Entry & { readonly required?: boolean }>>;
  readonly secrets?: Readonly<Record<string, Entry>>;
  readonly outputs?: Readonly<Record<string, Entry>>;
}

const rowsOf = (entries: Readonly<Record<string, Entry>> = {}): string[] =>
  Object.entries(entries).map(([name, { description }]) => `| \`${name}\` | ${cell(description)} |`);

function workflowTables({ inputs = {}, secrets, outputs }: Called): string {
  const rows = Object.entries(inputs).map(([name, entry]) => {
    const fallback = entry.required === true ? "required" : String(entry.default ?? "");
    return `| \`${name}\` | ${cell(entry.description)} | ${fallback === "" ? "" : `\`${cell(fallback)}\``} |`;
  });
  const table = (what: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [[`| ${what} | What |`, "|---|---|", ...lines].join("\n")];
  return [
    ["| Input | What | Default |", "|---|---|---|", ...rows].join("\n"),
    ...table("Secret", rowsOf(secrets)),
    ...table("Output", rowsOf(outputs)),
  ].join("\n\n");
}

/** Reusable workflows by name, as docs/workflows.md has them. */
export async function readWorkflows(): Promise<ReadonlyMap<string, Called>> {
  const folder = join(root, ".github/workflows");
  const found = new Map<string, Called>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".yml")).sort()) {
    const { on } = parse(await readFile(join(folder, file), "utf8")) as { on: { workflow_call?: Called } };
    if (on.workflow_call !== undefined) found.set(file.replace(/\.yml$/, ""), on.workflow_call);
  }
  return found;
}

/**
 * What a template's head asks for, by the names of variables, secrets and inputs: all that is filled in before it does
 * anything, a platform's address and the credentials for it too.
 */
export function askedBy(template: string): string[] {
  const head = template.slice(0, template.search(/^name: /m));
  return [...head.matchAll(/^# {3}(?:-|\d+\.) ([^:]+):/gm)].flatMap(
    ([, item = ""]) => item.match(/[A-Z][A-Z0-9]*_[A-Z0-9_]+|KUBECONFIG/g) ?? [item],
  );
}

/** File names of the templates, and what each asks for. */
export async function readTemplates(): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = join(root, "workflows-templates");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".yml")).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return new Map(files.map((file, at) => [file, askedBy(texts[at] ?? "")]));
}

function templateTable(templates: ReadonlyMap<string, readonly string[]>): string {
  const rows = [...templates].map(
    ([file, names]) =>
      `| [\`${file}\`](../workflows-templates/${file}) | ${names.map((name) => `\`${name}\``).join(", ")} | ${names.length} |`,
  );
  return ["| Template | What to fill in | How many |", "|---|---|---|", ...rows].join("\n");
}

/** docs/workflows.md as it should be. */
export async function withWorkflows(page: string): Promise<string> {
  const whole = replaceBetween(page, "templates", templateTable(await readTemplates()));
  return [...(await readWorkflows())].reduce(
    (text, [name, called]) => replaceBetween(text, name, workflowTables(called)),
    whole,
  );
}

if (import.meta.main) {
  const workflows = join(root, "docs/workflows.md");
  const [before, after] = await readFile(workflows, "utf8").then(async (text) => [text, await withWorkflows(text)]);
  if (!process.argv.includes("--check")) await writeFile(workflows, after ?? "");
  else if (before !== after) throw new Error("docs/workflows.md does not fit the workflows: run node bin/readme.ts");
  for (const [page, folder] of PAGES) {
    const path = join(root, page);
    const before = await readFile(path, "utf8");
    const after = withTables(before, await readAction(folder));
    if (!process.argv.includes("--check")) await writeFile(path, after);
    else if (before !== after) throw new Error(`${page} does not fit its action.yml: run node bin/readme.ts`);
  }
}

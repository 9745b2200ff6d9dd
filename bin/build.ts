/**
 * Builds what a runner executes: the scanner's module (bin/scanner.ts), `tsc` into lib/, then one self-contained bundle for
 * each file of src/entries into dist/<entry>/index.js, with the licences of what it contains beside it.
 *
 *     node bin/build.ts           writes the module and dist/
 *     node bin/build.ts --check   builds elsewhere and fails when either is not what the sources give
 */
import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { transform } from "esbuild";
import { systemExec } from "../src/system/exec.ts";
import { buildScanner } from "./scanner.ts";

const root = resolve(import.meta.dirname, "..");
const lib = join(root, "lib");
const dist = join(root, "dist");
/** New bundles are made here and moved as a whole, so that dist/ is never half there. */
const fresh = join(lib, "bundles");

async function node(args: readonly string[]): Promise<void> {
  const result = await systemExec.run(process.execPath, args, { cwd: root });
  if (result.exitCode === 0) return;
  throw new Error(`${args.join(" ")} ended with ${result.exitCode}\n${result.stdout}\n${result.stderr}`);
}

/** Paths of all files below `folder`, relative to it, sorted. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** `ncc -m` leaves the chunks of dynamic imports as they are, so every file is minified here instead. */
async function minify(file: string): Promise<void> {
  const source = await readFile(file, "utf8");
  const { code } = await transform(source, { minify: true, format: "esm", target: "node24", legalComments: "none" });
  await writeFile(file, code);
}

async function bundle(entry: string, out: string): Promise<void> {
  const ncc = join(root, "node_modules", "@vercel", "ncc", "dist", "ncc", "cli.js");
  const source = join(lib, "entries", `${entry}.js`);
  await node([ncc, "build", source, "-o", out, "--no-cache", "--target", "es2022", "--license", "licenses.txt"]);
  for (const file of await filesOf(out)) {
    if (file.endsWith(".js")) await minify(join(out, file));
  }
}

/**
 * `@actions/core` loads a whole HTTP client for OIDC tokens, which nothing here asks for: half a megabyte and 50 ms
 * of each start. What is compiled finds this copy without it first.
 */
async function slimCore(): Promise<void> {
  const core = join(lib, "node_modules", "@actions", "core");
  await cp(join(root, "node_modules", "@actions", "core"), core, { recursive: true });
  const refusal = 'throw new Error("this bundle leaves OIDC tokens out: see bin/build.ts")';
  await writeFile(
    join(core, "lib", "oidc-utils.js"),
    `export class OidcClient { static getIDToken() { ${refusal}; } }\n`,
  );
}

/**
 * Libraries and threads with a bundle of their own are loaded from there, by imports and URLs that ncc leaves alone: all
 * bundles are neighbours in dist/.
 */
async function separateLibraries(): Promise<void> {
  const file = join(lib, "system", "libraries.js");
  const source = await readFile(file, "utf8");
  const separated = source
    .replace(/import\("\.\.\/entries\/([\w-]+)\.js"\)/g, (_, name) => {
      return `import(/* webpackIgnore: true */ "../${name}/index.js")`;
    })
    .replace(/new URL\("\.\.\/entries\/([\w-]+)\.ts"/g, (_, name) => {
      return `new URL(/* webpackIgnore: true */ "../${name}/index.js"`;
    });
  if (separated === source) throw new Error(`${file} imports no bundle`);
  await writeFile(file, separated);
}

async function compile(): Promise<string[]> {
  await rm(lib, { recursive: true, force: true });
  await slimCore();
  await node([join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"]);
  await separateLibraries();
  const entries = await readdir(join(lib, "entries"));
  return entries
    .filter((file) => file.endsWith(".js"))
    .map((file) => basename(file, ".js"))
    .sort();
}

async function build(out: string): Promise<void> {
  const queue = await compile();
  const worker = async (): Promise<void> => {
    for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) await bundle(entry, join(out, entry));
  };
  await Promise.all([worker(), worker()]);
}

async function report(out: string): Promise<void> {
  for (const entry of await readdir(out)) {
    const folder = join(out, entry);
    const files = (await filesOf(folder)).filter((file) => file.endsWith(".js"));
    const sizes = await Promise.all(files.map(async (file) => (await readFile(join(folder, file))).length));
    const kb = (bytes: number): string => `${(bytes / 1000).toFixed(0)} kB`;
    const all = sizes.reduce((sum, size) => sum + size, 0);
    const first = sizes[files.indexOf("index.js")] ?? 0;
    process.stdout.write(
      `dist/${entry}: ${kb(all)} in ${files.length} files, ${kb(first)} of it loaded at the start\n`,
    );
  }
}

/** What differs between two folders, one line each. */
async function differences(left: string, right: string): Promise<string[]> {
  const [here, there] = await Promise.all([filesOf(left).catch((): string[] => []), filesOf(right)]);
  const found = here.filter((file) => !there.includes(file)).map((file) => `${file}: no source gives it`);
  for (const file of there) {
    if (!here.includes(file)) found.push(`${file}: missing`);
    else if (!(await readFile(join(left, file))).equals(await readFile(join(right, file))))
      found.push(`${file}: differs`);
  }
  return found;
}

async function main(check: boolean): Promise<void> {
  await buildScanner(check);
  await build(fresh);
  await report(fresh);
  if (!check) {
    await rm(dist, { recursive: true, force: true });
    await rename(fresh, dist);
    return;
  }
  const found = await differences(dist, fresh);
  if (found.length === 0) {
    process.stdout.write("dist/ is what the sources give\n");
    return;
  }
  process.stderr.write(`dist/ is stale, run "npm run build":\n${found.map((line) => `  ${line}\n`).join("")}`);
  process.exitCode = 1;
}

await main(process.argv.includes("--check"));

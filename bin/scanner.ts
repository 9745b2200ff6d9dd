/**
 * Compiles the scanner of lines (assembly/, AssemblyScript) into a module of WebAssembly and writes that as source: so it
 * is in every bundle that needs it, with no file beside it that could be missing or another.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { systemExec } from "../src/system/exec.ts";

const root = resolve(import.meta.dirname, "..");
const compiler = join(root, "node_modules", "assemblyscript", "bin", "asc.js");
const source = join(root, "assembly", "lines.ts");
const target = join(root, "src", "snapshot", "scanner.wasm.ts");
/** No assertions and nothing that collects garbage: the module holds no objects. Without `abort` it imports only ours. */
const OPTIONS = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--use", "abort="];

async function compiled(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "scanner-"));
  try {
    const out = join(folder, "scanner.wasm");
    const args = [compiler, relative(root, source), ...OPTIONS, "--outFile", out];
    const result = await systemExec.run(process.execPath, args, { cwd: root });
    if (result.exitCode !== 0) throw new Error(`asc ended with ${result.exitCode}\n${result.stdout}\n${result.stderr}`);
    const module = await readFile(out, "base64");
    return `// Written by bin/scanner.ts from assembly/; do not edit.\nexport const MODULE =\n  "${module}";\n`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param check changes nothing, and fails when the module is not what its source gives */
export async function buildScanner(check: boolean): Promise<void> {
  const module = await compiled();
  if (module === (await readFile(target, "utf8").catch(() => ""))) return;
  if (check) throw new Error(`${relative(root, target)} is stale, run "npm run build"`);
  await writeFile(target, module);
}

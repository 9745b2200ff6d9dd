/**
 * Packs the stand-in: one executable file that is self-contained apart from `node` (for `binary-path` and release
 * zips), or the folder from which its image is built.
 *
 *     node test/standin/bundle.ts <folder>            convex-local-backend
 *     node test/standin/bundle.ts <folder> --image    the build context, with its Dockerfile
 */
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
const SCRIPTS = ["run_backend.sh", "read_credentials.sh", "generate_admin_key.sh"];

/** Writes `convex-local-backend` into the folder, which is made when missing, and returns its path. */
export async function buildStandin(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, "convex-local-backend");
  await bundleTo(file);
  await chmod(file, 0o755);
  return file;
}

/** Writes all that `docker build` needs, and returns the folder. */
export async function buildImageContext(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  await bundleTo(join(directory, "standin.mjs"));
  // `exec` keeps the process id: PID 1 of the container is node, and signals reach it
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the shell fills it in
  await writeScript(join(directory, "convex-local-backend"), 'exec node "${0%/*}/standin.mjs" "$@"');
  await writeScript(join(directory, "generate_key"), 'STANDIN_ROLE=generate_key exec node "${0%/*}/standin.mjs" "$@"');
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the shell fills it in
  for (const name of SCRIPTS) {
    await copyFile(join(HERE, "image", name), join(directory, name));
    await chmod(join(directory, name), 0o755);
  }
  await copyFile(join(HERE, "image", "Dockerfile"), join(directory, "Dockerfile"));
  return directory;
}

async function writeScript(path: string, command: string): Promise<void> {
  await writeFile(path, `#!/bin/bash\n# Stand-in image (test double).\n${command}\n`);
  await chmod(path, 0o755);
}

async function bundleTo(outfile: string): Promise<void> {
  await build({
    entryPoints: [join(HERE, "main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    minifySyntax: true,
    minifyWhitespace: true,
    // identifiers stay: the Node action child is a function written out as text (runtime/node-child.ts)
    legalComments: "none",
    // CommonJS packages in an ES module still call `require` for Node's own modules
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "error",
  });
}

if (import.meta.main) {
  const [directory, option] = process.argv.slice(2);
  if (directory === undefined) throw new Error("Usage: node test/standin/bundle.ts <folder> [--image]");
  console.log(await (option === "--image" ? buildImageContext(directory) : buildStandin(directory)));
}

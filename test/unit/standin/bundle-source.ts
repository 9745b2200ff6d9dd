/** Bundles a piece of Convex source as the CLI does, for tests of the function runtime. */
import { build } from "esbuild";
import type { ModuleSource } from "../../standin/runtime/protocol.ts";

/** `file` is where the source would stand: `convex/messages.ts`. */
export async function bundleSource(
  file: string,
  contents: string,
  platform: "browser" | "node" = "browser",
): Promise<ModuleSource> {
  const path = file.replace(/^convex\//, "").replace(/\.ts$/, ".js");
  const result = await build({
    stdin: { contents, sourcefile: file, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    format: "esm",
    target: "esnext",
    platform,
    minifySyntax: true,
    minifyIdentifiers: true,
    keepNames: true,
    write: false,
    sourcemap: "external",
    outfile: `out/${path}`,
    conditions: ["convex", "module"],
  });
  const text = (ending: string) => result.outputFiles.find((one) => one.path.endsWith(ending))?.text ?? "";
  return { path, source: text(".js"), sourceMap: text(".map") };
}

/**
 * The modules of an app as the CLI sends them (contract 5.2, start_push request), made with esbuild directly: pushing
 * without the CLI's own start takes a twentieth of the time, and lets a case send what the CLI would not.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import type { App } from "./app.ts";

export interface Module {
  readonly path: string;
  readonly source: string;
  readonly sourceMap?: string;
  readonly environment: "isolate" | "node";
}

export interface ComponentBundle {
  readonly definitionPath: string;
  readonly definition: Module;
  readonly dependencies: readonly string[];
  readonly schema: Module | null;
  readonly functions: readonly Module[];
}

const shared: BuildOptions = {
  bundle: true,
  format: "esm",
  target: "esnext",
  jsx: "automatic",
  write: false,
  outdir: "out",
  conditions: ["convex", "module"],
  keepNames: true,
  minifySyntax: true,
  treeShaking: true,
  sourcemap: true,
  sourcesContent: false,
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "silent",
};

async function bundle(dir: string, outbase: string, entries: string[], node: boolean, more: BuildOptions = {}) {
  if (entries.length === 0) return [];
  const result = await build({
    ...shared,
    absWorkingDir: dir,
    outbase,
    entryPoints: entries,
    platform: node ? "node" : "browser",
    splitting: true,
    chunkNames: node ? "_deps/node/[hash]" : "_deps/[hash]",
    ...more,
  });
  const out = join(dir, "out");
  const texts = new Map(
    (result.outputFiles ?? []).map((file) => [relative(out, file.path).split(sep).join("/"), file.text]),
  );
  const modules: Module[] = [];
  for (const [path, source] of texts) {
    if (path.endsWith(".map")) continue;
    const sourceMap = texts.get(`${path}.map`);
    modules.push({ path, source, ...(sourceMap ? { sourceMap } : {}), environment: node ? "node" : "isolate" });
  }
  return modules;
}

/** Function modules of a folder; a folder inside it that defines a component is none of them. */
function entryPoints(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) {
      return name === "_generated" || existsSync(join(path, "convex.config.ts")) ? [] : entryPoints(path);
    }
    const isModule = /^[^.].*\.[jt]sx?$/.test(name) && name.split(".").length === 2 && !/^schema\./.test(name);
    return isModule ? [path] : [];
  });
}

const encodePath = (path: string) => `./_componentDeps/${Buffer.from(path).toString("base64url")}`;

/** An imported convex.config is left to the backend, named by its definition path. */
function externalComponents(app: App, found: Set<string>): Plugin {
  return {
    name: "components",
    setup(hooks) {
      hooks.onResolve({ filter: /convex\.config/ }, (args) => {
        if (args.kind === "entry-point") return undefined;
        const path = relative(app.convex, dirname(join(args.resolveDir, args.path)))
          .split(sep)
          .join("/");
        found.add(path);
        return { path: encodePath(path), external: true };
      });
    },
  };
}

const noConfig = `import { defineApp } from "convex/server";\nconst app = defineApp();\nexport default app;`;

async function definition(app: App, folder: string): Promise<{ module: Module; dependencies: string[] }> {
  const found = new Set<string>();
  const options: BuildOptions = { splitting: false, minify: true, plugins: [externalComponents(app, found)] };
  const file = join(folder, "convex.config.ts");
  const modules = existsSync(file)
    ? await bundle(app.dir, folder, [file], false, options)
    : await bundle(app.dir, folder, ["-"], false, {
        ...options,
        entryPoints: [],
        stdin: { contents: noConfig, resolveDir: app.dir, sourcefile: "convex.config.ts", loader: "ts" },
      });
  const module = modules[0];
  if (module === undefined) throw new Error("no definition module");
  return { module: { ...module, path: "convex.config.js" }, dependencies: [...found].sort() };
}

async function bundleFolder(app: App, folder: string, definitionPath: string): Promise<ComponentBundle> {
  const entries = entryPoints(folder);
  const isNode = (path: string) => /^\s*["']use node["']/.test(readFileSync(path, "utf8"));
  const single = async (name: string) => {
    const file = join(folder, `${name}.ts`);
    return existsSync(file) ? ((await bundle(app.dir, folder, [file], false, { splitting: false }))[0] ?? null) : null;
  };
  const auth = await single("auth.config");
  const { module, dependencies } = await definition(app, folder);
  const functions = [
    ...(auth === null ? [] : [auth]),
    ...(await bundle(
      app.dir,
      folder,
      entries.filter((path) => !isNode(path)),
      false,
    )),
    ...(await bundle(app.dir, folder, entries.filter(isNode), true)),
  ];
  return { definitionPath, definition: module, dependencies, schema: await single("schema"), functions };
}

/** Root first, then every component that is used, by definition path. */
export async function bundleApp(app: App): Promise<ComponentBundle[]> {
  const done = new Map<string, ComponentBundle>();
  const todo = [""];
  for (let path = todo.shift(); path !== undefined; path = todo.shift()) {
    if (done.has(path)) continue;
    const bundled = await bundleFolder(app, join(app.convex, path), path);
    done.set(path, bundled);
    todo.push(...bundled.dependencies);
  }
  return [...done.values()];
}

/** `hash` of get_config_hashes and `sha256` of unchangedModuleHashes (contract 5.2). */
export function moduleHash(module: Module): string {
  return createHash("sha256")
    .update(module.source)
    .update(module.sourceMap ?? "")
    .digest("hex");
}

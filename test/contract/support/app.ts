/** The fixture app as a project on disk, with files put in, replaced (text) or left out (null). */
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { newDirectory } from "./process.ts";

const fixture = fileURLToPath(new URL("../app/", import.meta.url));
const modules = fileURLToPath(new URL("../../../node_modules", import.meta.url));

/** Paths below `convex/`, slashes only. */
export type Files = Readonly<Record<string, string | null>>;

export interface AppSpec {
  /** Starts from the fixture app; false starts from nothing. Default true. */
  readonly base?: boolean;
  readonly files?: Files;
}

export function variant(name: string): string {
  return readFileSync(join(fixture, "variants", name), "utf8");
}

const generated: Record<string, string> = {
  "server.js": `export { actionGeneric as action, httpActionGeneric as httpAction, internalActionGeneric as internalAction,
  internalMutationGeneric as internalMutation, internalQueryGeneric as internalQuery, mutationGeneric as mutation,
  queryGeneric as query } from "convex/server";\n`,
  "api.js": `import { anyApi, componentsGeneric } from "convex/server";
export const api = anyApi;
export const internal = anyApi;
export const components = componentsGeneric();\n`,
};

/** What codegen would write, reduced to what bundling needs; the CLI writes its own over it. */
function writeGenerated(convex: string): void {
  mkdirSync(join(convex, "_generated"), { recursive: true });
  for (const [name, text] of Object.entries(generated)) writeFileSync(join(convex, "_generated", name), text);
}

export interface App {
  readonly dir: string;
  readonly convex: string;
  write(files: Files): void;
  remove(): void;
}

export function createApp(spec: AppSpec = {}): App {
  const dir = newDirectory();
  const convex = join(dir, "convex");
  for (const name of ["package.json", "tsconfig.json"]) copyFileSync(join(fixture, name), join(dir, name));
  if (spec.base === false) {
    mkdirSync(convex);
    copyFileSync(join(fixture, "convex/tsconfig.json"), join(convex, "tsconfig.json"));
  } else cpSync(join(fixture, "convex"), convex, { recursive: true });
  symlinkSync(modules, join(dir, "node_modules"), process.platform === "win32" ? "junction" : "dir");
  const app: App = {
    dir,
    convex,
    write(files) {
      for (const [path, text] of Object.entries(files)) {
        const full = join(convex, path);
        rmSync(full, { force: true, recursive: text === null });
        if (text === null) continue;
        mkdirSync(dirname(full), { recursive: true });
        writeFileSync(full, text);
        // A component reads the server helpers from its own folder.
        if (path.endsWith("/convex.config.ts")) writeGenerated(dirname(full));
      }
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
  writeGenerated(convex);
  app.write(spec.files ?? {});
  return app;
}

/** One component, to be mounted more than once. */
export const widget: Files = {
  "widget/convex.config.ts": `import { defineComponent } from "convex/server";\nexport default defineComponent("widget");\n`,
  "widget/schema.ts": `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ counters: defineTable({ name: v.string(), value: v.number() }).index("by_name", ["name"]) });\n`,
  "widget/counters.ts": `import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
export const bump = mutation({ args: { name: v.string() }, handler: (ctx, { name }) => ctx.db.insert("counters", { name, value: 1 }) });
export const all = query({ args: {}, handler: (ctx) => ctx.db.query("counters").collect() });
export const boom = mutation({ args: {}, handler: () => { throw new Error("in component"); } });\n`,
};

export const twoWidgets: Files = {
  ...widget,
  "convex.config.ts": `import { defineApp } from "convex/server";
import widget from "./widget/convex.config";
const app = defineApp();
app.use(widget);
app.use(widget, { name: "second" });
export default app;\n`,
  "useWidget.ts": `import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
import { components } from "./_generated/api";
export const bump = mutation({ args: { name: v.string() }, handler: async (ctx, args) => {
  await ctx.runMutation(components.widget.counters.bump, args);
  await ctx.runMutation(components.second.counters.bump, args);
} });
export const boom = mutation({ args: {}, handler: async (ctx) => { await ctx.runMutation((components.widget.counters as any).boom, {}); } });
export const all = query({ args: {}, handler: async (ctx): Promise<any> => ({
  second: await ctx.runQuery(components.second.counters.all, {}),
  widget: await ctx.runQuery(components.widget.counters.all, {}),
}) });\n`,
};

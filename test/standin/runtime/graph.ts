/** Pushed modules, loaded as ES modules; one graph for a package and an environment. */
import vm from "node:vm";
import * as convexServer from "convex/server";
import type { ModuleSource, PackageSource } from "./protocol.ts";
import type { SourceMaps } from "./stack.ts";

const COMPONENT_DEPS = "_componentDeps/";
/** What inline queries import (contract 6.2 `run_test_function`). */
const REPL_WRAPPERS = "convex:/_system/repl/wrappers.js";

/** A defect of the modules themselves, worded as in contract 5.2. */
export class ModuleDefect extends Error {}

export class Graph {
  readonly #id: number;
  readonly #sources: ReadonlyMap<string, ModuleSource>;
  readonly #modules = new Map<string, vm.Module>();
  readonly #ready = new Map<string, Promise<vm.Module>>();
  readonly #maps: SourceMaps;
  readonly #children: Readonly<Record<string, string>>;

  constructor(id: number, source: PackageSource, maps: SourceMaps, children: Readonly<Record<string, string>> = {}) {
    this.#id = id;
    this.#sources = new Map(source.modules.map((module) => [module.path, module]));
    this.#maps = maps;
    this.#children = children;
  }

  /** A module that failed stays failed: the graph is of no further use. */
  failed = false;

  source(path: string): ModuleSource | undefined {
    return this.#sources.get(path);
  }

  script(path: string): string {
    return `convex:${this.#id}/${path}`;
  }

  /** The namespace of an evaluated module. Throws what it throws, or a ModuleDefect. */
  async load(path: string): Promise<Record<string, unknown>> {
    let ready = this.#ready.get(path);
    if (ready === undefined) {
      ready = this.#evaluate(path);
      this.#ready.set(path, ready);
    }
    try {
      return (await ready).namespace as Record<string, unknown>;
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  dispose(): void {
    for (const path of this.#modules.keys()) this.#maps.delete(this.script(path));
  }

  async #evaluate(path: string): Promise<vm.Module> {
    const module = this.#module(path);
    if (module.status === "unlinked")
      await module.link((specifier, from) => this.#resolve(specifier, this.#pathOf(from)));
    if (this.#hasTopLevelAwait()) throw new ModuleDefect("Top-level awaits in source files are unsupported");
    await module.evaluate();
    return module;
  }

  #hasTopLevelAwait(): boolean {
    return [...this.#modules.values()].some(
      (module) =>
        module instanceof vm.SourceTextModule &&
        (module as { hasTopLevelAwait?(): boolean }).hasTopLevelAwait?.() === true,
    );
  }

  #module(path: string): vm.Module {
    const known = this.#modules.get(path);
    if (known !== undefined) return known;
    const found = this.#sources.get(path);
    if (found === undefined) throw new Error(`Could not find module ${path}`);
    const script = this.script(path);
    this.#maps.add(script, found.sourceMap);
    const module = new vm.SourceTextModule(found.source, {
      identifier: script,
      importModuleDynamically: async (specifier: string) => {
        const target = this.#resolve(specifier, path);
        if (target.status === "unlinked") await target.link((inner, from) => this.#resolve(inner, this.#pathOf(from)));
        if (target.status === "linked") await target.evaluate();
        return target;
      },
    });
    this.#modules.set(path, module);
    return module;
  }

  #pathOf(module: vm.Module): string {
    return module.identifier.replace(/^convex:\d+\//, "");
  }

  #resolve(specifier: string, from: string): vm.Module {
    if (specifier === REPL_WRAPPERS) return this.#synthetic(specifier, convexServerExports());
    const path = new URL(specifier, `file:///${from}`).pathname.slice(1);
    if (path.startsWith(COMPONENT_DEPS)) return this.#componentDefinition(path);
    return this.#module(path);
  }

  /** A convex.config imports the definitions of its children; it gets their names only. */
  #componentDefinition(path: string): vm.Module {
    const definitionPath = Buffer.from(path.slice(COMPONENT_DEPS.length), "base64url").toString();
    const imported = { componentDefinitionPath: definitionPath, defaultName: this.#children[definitionPath] };
    return this.#synthetic(path, { default: imported });
  }

  #synthetic(name: string, exported: Record<string, unknown>): vm.Module {
    const known = this.#modules.get(name);
    if (known !== undefined) return known;
    const module = new vm.SyntheticModule(
      Object.keys(exported),
      () => {
        for (const [key, value] of Object.entries(exported)) module.setExport(key, value);
      },
      { identifier: name },
    );
    this.#modules.set(name, module);
    return module;
  }
}

/** Inline queries get no more than this. */
function convexServerExports(): Record<string, unknown> {
  return { query: convexServer.queryGeneric, internalQuery: convexServer.internalQueryGeneric };
}

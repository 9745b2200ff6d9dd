import { connectEngine } from "../../../src/backend/docker/engine.ts";
import { deriveInstanceSecret } from "../../../src/preview/credentials.ts";
import { DockerTarget, type DockerTargetOptions } from "../../../src/preview/docker/target.ts";
import type { PreviewSpec } from "../../../src/preview/target.ts";
import type { Deps } from "../../../src/system/deps.ts";
import { type RealDeps, realDeps } from "../docker/support.ts";
import { world } from "../harness/world.ts";

export const previewSecret = "preview-secret-of-the-tests-0123456789abcdef";
export const repository = "Acme/App";

export interface CountedDeps extends RealDeps {
  /** Method and path of every call to an engine. */
  readonly calls: string[];
}

/** The real machine, and what it asks of the engine. */
export function countedDeps(): CountedDeps {
  const deps = realDeps();
  const calls: string[] = [];
  const note = (url: string, options: { readonly method?: string; readonly socketPath?: string } | undefined): void => {
    if (options?.socketPath === undefined) return;
    calls.push(`${options.method ?? "GET"} ${new URL(url).pathname.replace(/^\/v[\d.]+/, "")}`);
  };
  const http: Deps["http"] = {
    request: (url, options) => {
      note(url, options);
      return deps.http.request(url, options);
    },
    stream: (url, options) => {
      note(url, options);
      return deps.http.stream(url, options);
    },
  };
  return { ...deps, http, calls };
}

export async function localTarget(
  options: Partial<DockerTargetOptions> = {},
  deps: Deps = realDeps(),
): Promise<DockerTarget> {
  const { repository: name, digest, commit } = world().image;
  const engine = await connectEngine(deps);
  return new DockerTarget(
    engine,
    {
      repository,
      image: { reference: `${name}@${digest}`, digest, commit },
      pull: "missing",
      proxy: "none",
      bind: "127.0.0.1",
      host: "127.0.0.1",
      ...options,
    },
    deps,
  );
}

export function previewSpec(name: string, given: Partial<PreviewSpec> = {}): PreviewSpec {
  return {
    name,
    repository,
    number: Number(name.replace(/\D/g, "")) || 1,
    instanceName: name,
    instanceSecret: deriveInstanceSecret({ from: "preview-secret", text: previewSecret }, { repository, name }),
    backendEnv: {},
    memory: 512 * 1024 * 1024,
    isolated: false,
    ...given,
  };
}

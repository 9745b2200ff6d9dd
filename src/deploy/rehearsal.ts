import type { DeploymentClient } from "../deployment/client.ts";
import type { CodeScan } from "../deployment/env-reads.ts";
import { messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { analyse, type BundledModule, type CodeFacts } from "./analysis.ts";
import type { Pushed } from "./changes.ts";
import { type Foretold, foretell } from "./foretold.ts";
import type { PushWatch, Rehearsal } from "./watch.ts";

const REHEARSED: Readonly<Record<Rehearsal, string>> = {
  checked:
    "The dry run bundled the code, had the backend evaluate code, schema and auth config, and let the CLI check types as typecheck says. It stored nothing, so documents were not checked against the schema.",
  evaluated:
    "The dry run bundled the code and had the backend evaluate code, schema and auth config. Types were not checked, because the app has components, and documents were not checked against the schema: both need a stored push.",
  bundled: "The dry run only bundled the code: this CLI or this backend cannot evaluate a push without storing it.",
};

const COMPONENTS =
  "Of components, tables and crons were not compared: the backend does not give out the code of theirs that is live.";

export interface RehearsalOf {
  readonly watch: PushWatch;
  readonly how: Rehearsal;
  readonly scan: CodeScan;
  readonly client: DeploymentClient;
  /** Those that the deploy would set. */
  readonly variables: ReadonlyMap<string, string>;
}

/**
 * What a dry run found out: functions, routes, tables, crons and auth providers by loading the code here, since the
 * backend would store what it analyses.
 */
export async function rehearsed({ watch, how, scan, client, variables }: RehearsalOf, deps: Deps): Promise<Pushed> {
  const notes = [REHEARSED[how]];
  if (watch.authVariable !== undefined) {
    notes.push(
      `The backend did not evaluate auth.config: it reads ${watch.authVariable}, which only the deploy itself sets.`,
    );
  }
  if (watch.bundle.length === 0) return { facts: watch.facts, notes };
  const names = [...scan.reads, ...scan.authReads, ...scan.required].map(({ name }) => name);
  const [pushed, live] = await Promise.all([
    analyse(watch.bundle, new Set(names), { functions: true }, deps),
    readLiveCode(client, deps),
  ]);
  const foretold = await compare(pushed, live, client, variables);
  const { analysis } = pushed;
  if ("problem" in analysis) {
    notes.push(`Functions were not compared: their modules cannot be loaded without a backend (${analysis.problem}).`);
  }
  notes.push(...foretold.notes, ...((watch.facts.components ?? []).length > 0 ? [COMPONENTS] : []));
  return { facts: { ...watch.facts, ...("value" in analysis ? { analysis: analysis.value } : {}), foretold }, notes };
}

interface LiveCode {
  readonly modules: readonly BundledModule[];
  readonly facts: CodeFacts;
}

/** Loads what is live in the way of what is pushed, so that both tell it in the same words. */
async function readLiveCode(client: DeploymentClient, deps: Deps): Promise<LiveCode> {
  try {
    const modules = await client.moduleSources();
    return { modules, facts: await analyse(modules, [], { functions: false }, deps) };
  } catch (error) {
    const problem = messageOf(error);
    return {
      modules: [],
      facts: { analysis: { problem }, schema: { problem }, crons: { problem }, authProviders: { problem } },
    };
  }
}

async function compare(
  pushed: CodeFacts,
  live: LiveCode,
  client: DeploymentClient,
  wanted: ReadonlyMap<string, string>,
): Promise<Foretold> {
  const [present, origins] = await Promise.all([client.listVariables(), client.canonicalUrls()]);
  const own: [string, string][] =
    origins === undefined
      ? []
      : [
          ["CONVEX_SITE_URL", origins.site],
          ["CONVEX_CLOUD_URL", origins.cloud],
        ];
  const variables = { live: new Map([...present, ...own]), pushed: new Map([...present, ...wanted, ...own]) };
  return foretell({ live: live.facts, pushed, variables, liveModules: live.modules });
}

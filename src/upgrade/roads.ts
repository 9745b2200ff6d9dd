import type { BackendState } from "../backend/backend.ts";
import type { ReportCheck, ReportRow } from "../report/report.ts";
import type { Backup } from "../restore/backup.ts";
import { type BringOptions, bringIn } from "../restore/bring-in.ts";
import { type DataCheck, runChecks } from "../restore/checks.ts";
import { verifyTarget } from "../restore/verify.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { Timeline } from "../runner/timeline.ts";
import { bringUp, insteadOf } from "../start/bring-up.ts";
import { deployProject, pushVariables } from "../start/deploy.ts";
import type { Prepared } from "../start/prepare.ts";
import type { Run, Usable } from "../start/run.ts";
import type { Deps } from "../system/deps.ts";
import type { Bench } from "./bench.ts";
import { type Migration, waitForMigration } from "./migration.ts";

export type RoadName = "in-place" | "import";

/** What became of one road. */
export interface Road {
  readonly name: RoadName;
  readonly safe: boolean;
  /** Table by table at its end; empty where it did not come so far. */
  readonly rows: readonly ReportRow[];
  readonly checks: readonly ReportCheck[];
  readonly migration?: Migration;
  /** From the end of the present release (or the start of the next one) until the next one serves the data. */
  readonly downMs?: number;
  /** Why it is not safe, `[code] message → hint`. */
  readonly failure?: string;
}

/** What both roads need. */
export interface Rehearsal {
  readonly from: Prepared;
  readonly to: Prepared;
  readonly runtime: "docker" | "binary";
  readonly backup: Backup;
  readonly checks: readonly DataCheck[];
  readonly options: BringOptions;
  readonly migrationTimeoutMs: number;
  readonly bench: Bench;
  readonly timeline: Timeline;
  readonly deps: Deps;
  /** Told which release really ran, as far as it is known. */
  readonly ran: (which: "from" | "to", what: string) => void;
}

interface Live {
  readonly usable: Usable;
  readonly run: Run;
  readonly state: () => BackendState;
}

/** Runs work on a backend; where the backend ended meanwhile, the error says why. */
async function explained<T>(live: Live, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  let endedAt: number | undefined;
  void live.usable.launched.backend.ended.then(() => {
    endedAt = live.run.deps.clock.now();
    over.abort(new Error("the backend ended"));
  });
  try {
    return await work(over.signal);
  } catch (error) {
    throw await insteadOf(error, live.usable, () => endedAt, live.run);
  }
}

async function startBackend(rehearsal: Rehearsal, which: "from" | "to", data?: string): Promise<Live> {
  const { bench, timeline, deps } = rehearsal;
  const before = rehearsal[which];
  const inputs = data === undefined ? before.inputs : { ...before.inputs, data };
  const keep = bench.slot();
  let saved: BackendState | undefined;
  const run: Run = {
    prepared: { ...before, inputs },
    timeline,
    tell: () => undefined,
    save: (state) => {
      saved = state;
      keep(state);
    },
    saved: () => saved,
    deps,
  };
  const usable = await bringUp(run);
  const { version, backend } = usable.launched;
  rehearsal.ran(which, [version ?? "not known", backend.imageDigest].filter((part) => part !== undefined).join(" · "));
  const state = (): BackendState => {
    if (saved === undefined) throw new Error("a backend without state");
    return saved;
  };
  return { usable, run, state };
}

/** Variables, pause, code: as the deployment stands when a restore begins. */
async function furnish({ usable, run }: Live, signal: AbortSignal, deps: Deps): Promise<void> {
  const { launched, client, adminKey } = usable;
  const keys = run.prepared.authKeys === undefined ? undefined : await run.prepared.authKeys;
  await pushVariables(run.prepared, launched, keys, client, deps);
  // Before the code is there: its crons would run.
  await client.pause();
  await deployProject(run.prepared, launched, { adminKey, client, keys, signal }, deps);
}

/** Data as they were before, then the app's own word; the checks come last, because functions may change data. */
async function judge(rehearsal: Rehearsal, live: Live): Promise<Pick<Road, "safe" | "rows" | "checks" | "failure">> {
  const { backup, checks, options, timeline, deps } = rehearsal;
  const { client } = live.usable;
  const { rows, equal } = await timeline.phase("compare", () => verifyTarget(client, backup, options, deps));
  const results = await timeline.phase("checks", async () => {
    if (checks.length === 0) return [];
    await client.unpause();
    return await runChecks(client, checks);
  });
  const wrong = results.filter(({ ok }) => !ok).map(({ name }) => name);
  const problems = [
    equal ? "" : "the data differ from the backup",
    wrong.length === 0 ? "" : `checks failed: ${wrong.join(", ")}`,
  ].filter((problem) => problem !== "");
  const safe = problems.length === 0;
  return { safe, rows, checks: results, ...(safe ? {} : { failure: `${problems.join("; ")}.` }) };
}

/**
 * The data directory goes to the next release as it is: the present one is restored into and stopped, the next one
 * migrates it.
 */
async function inPlace(rehearsal: Rehearsal): Promise<Omit<Road, "name">> {
  const { bench, backup, options, timeline, deps, runtime } = rehearsal;
  const data = await bench.makeData(runtime);
  const present = await timeline.phase("present release", () => startBackend(rehearsal, "from", data));
  await explained(present, async (signal) => {
    await timeline.phase("present: deploy", () => furnish(present, signal, deps));
    await timeline.phase("present: import", () => bringIn(present.usable.client, backup, options, deps));
    const { equal } = await timeline.phase("present: compare", () =>
      verifyTarget(present.usable.client, backup, options, deps),
    );
    if (!equal) {
      throw new ActionError(
        "upgrade-present-differs",
        "After the restore the present release does not hold what the backup holds, so what an upgrade makes of it proves nothing.",
        "Run the restore action with this backup: its report shows what differs.",
      );
    }
  });
  const downFrom = deps.clock.now();
  await timeline.phase("present: stop", () => bench.end(present.state()));
  const next = await timeline.phase("next release", () => startBackend(rehearsal, "to", data));
  return await explained(next, async (signal) => {
    const { backend } = next.usable.launched;
    const migration = await timeline.phase("migration", () =>
      waitForMigration(backend, rehearsal.migrationTimeoutMs, deps),
    );
    await timeline.phase("code", () => proveCode(next, signal, deps));
    const downMs = deps.clock.now() - downFrom;
    const judged = await judge(rehearsal, next);
    await bench.end(next.state());
    return { ...judged, migration, downMs };
  });
}

/**
 * A backend without its code looks ready (contract 1.8): the code that came along must run, and the app's own must
 * deploy. Both do so while the deployment is paused; the first is a query of the backend's own.
 */
async function proveCode({ usable, run }: Live, signal: AbortSignal, deps: Deps): Promise<void> {
  const { launched, client, adminKey } = usable;
  await client.systemQuery("_system/cli/modules:apiSpec", {});
  await deployProject(run.prepared, launched, { adminKey, client, keys: undefined, signal }, deps);
}

/** A fresh next release, and the snapshot imported into it. */
async function byImport(rehearsal: Rehearsal): Promise<Omit<Road, "name">> {
  const { bench, backup, options, timeline, deps } = rehearsal;
  const downFrom = deps.clock.now();
  const fresh = await timeline.phase("fresh release", () => startBackend(rehearsal, "to"));
  return await explained(fresh, async (signal) => {
    await timeline.phase("fresh: deploy", () => furnish(fresh, signal, deps));
    await timeline.phase("fresh: import", () => bringIn(fresh.usable.client, backup, options, deps));
    const downMs = deps.clock.now() - downFrom;
    const judged = await judge(rehearsal, fresh);
    await bench.end(fresh.state());
    return { ...judged, downMs };
  });
}

const ROADS: Readonly<Record<RoadName, (rehearsal: Rehearsal) => Promise<Omit<Road, "name">>>> = {
  "in-place": inPlace,
  import: byImport,
};

/** Takes one road to its end, good or bad. Only what is our own defect throws. */
export async function takeRoad(name: RoadName, rehearsal: Rehearsal): Promise<Road> {
  const { bench, deps } = rehearsal;
  try {
    return { name, ...(await ROADS[name](rehearsal)) };
  } catch (error) {
    await bench.clearBackends();
    if (!(error instanceof ActionError)) throw error;
    deps.log.warning(`The road ${name} is not safe: ${error.text}`);
    deps.log.debug(messageOf(error.cause));
    return { name, safe: false, rows: [], checks: [], failure: error.text };
  }
}

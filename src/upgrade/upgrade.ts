import { tmpdir } from "node:os";
import { generateInstanceSecret } from "../credentials/instance-secret.ts";
import { publishReport } from "../report/publish.ts";
import { reportSummary } from "../report/summary.ts";
import { openBackup } from "../restore/backup.ts";
import { parseChecks } from "../restore/checks.ts";
import { pickBackup } from "../restore/pick.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { setOutput } from "../runner/outputs.ts";
import { REPORT_DEFECT } from "../runner/run.ts";
import { seconds, writeSummary } from "../runner/summary.ts";
import { Timeline } from "../runner/timeline.ts";
import { parseIdentities } from "../snapshot/encrypt.ts";
import { chooseRuntime } from "../start/launch.ts";
import { checkVersion, type Prepared, prepare } from "../start/prepare.ts";
import { checkStartInputs } from "../start/rules.ts";
import { checkStoreSettings } from "../store/destination.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import { tempOf } from "../system/temp.ts";
import { Bench } from "./bench.ts";
import { readUpgradeInputs, type UpgradeInputs } from "./inputs.ts";
import { safeRoads, type UpgradeFacts, unsafe, upgradeReport } from "./outcome.ts";
import { type Rehearsal, type Road, type RoadName, takeRoad } from "./roads.ts";
import { checkUpgradeInputs } from "./rules.ts";
import { upgradeState } from "./state.ts";

type Tell = (facts: Partial<UpgradeFacts>) => void;

/** Everything that can be known before a backend is started; both releases share the project and the variables. */
interface Prepare {
  readonly inputs: UpgradeInputs;
  readonly from: Prepared;
  readonly to: Prepared;
  readonly runtime: "docker" | "binary";
  readonly store: Store;
  readonly identities: readonly string[];
}

async function prepareAll(read: ReadInput, tell: Tell, deps: Deps): Promise<Prepare> {
  const workspace = deps.env["GITHUB_WORKSPACE"] ?? process.cwd();
  const inputs = readUpgradeInputs(read, workspace);
  const identities = inputs.identity === undefined ? [] : parseIdentities(inputs.identity);
  for (const identity of identities) deps.log.mask(identity);
  checkUpgradeInputs(inputs);
  for (const start of [inputs.from, inputs.to]) checkStartInputs(start);
  const settings = { destination: inputs.source, ...inputs };
  checkStoreSettings(settings, "source");
  const store = openStore(settings, deps, inputs.githubToken);
  // One secret: the next release takes over the data of the present one, and its keys.
  const instanceSecret = generateInstanceSecret();
  const to = { ...inputs.to, instanceSecret };
  checkVersion(to, deps);
  const prepared = await prepare({ ...inputs.from, instanceSecret }, deps);
  const runtime = await chooseRuntime(inputs.from, deps);
  if (runtime === "service-container") throw new Error("a rehearsal adopts nothing");
  tell({ location: store.location, from: nameOf(inputs.from), to: nameOf(inputs.to) });
  const settled = (start: Prepared["inputs"]): Prepared => ({ ...prepared, inputs: { ...start, runtime } });
  return { inputs, from: settled(prepared.inputs), to: settled(to), runtime, store, identities };
}

const nameOf = ({ version, binaryPath }: UpgradeInputs["from"]): string => version ?? binaryPath ?? "not known";

const ROADS: readonly RoadName[] = ["in-place", "import"];

async function rehearse(all: Prepare, bench: Bench, timeline: Timeline, tell: Tell, deps: Deps): Promise<Road[]> {
  const { inputs, store, identities } = all;
  const { directory } = bench;
  const manifest = await timeline.phase("find", () => pickBackup(store, inputs.backupId, deps.log));
  tell({ manifest });
  const backup = await timeline.phase("fetch", () => openBackup(manifest, { store, identities, directory }, deps));
  const ran = new Map<string, string>();
  const rehearsal: Rehearsal = {
    from: all.from,
    to: all.to,
    runtime: all.runtime,
    backup,
    checks: parseChecks(inputs.checks),
    options: {
      directory,
      verify: "full",
      importTimeoutMs: inputs.importTimeoutMs,
      exportTimeoutMs: inputs.exportTimeoutMs,
      showDocuments: inputs.from.showDocuments,
      mayReplace: false,
    },
    migrationTimeoutMs: inputs.migrationTimeoutMs,
    bench,
    timeline,
    deps,
    ran: (which, what) => {
      ran.set(which, what);
      if (what !== "not known") tell({ [which]: what });
    },
  };
  const roads: Road[] = [];
  // One after the other: the times are those of a machine that does nothing else.
  for (const name of ROADS) {
    roads.push(await takeRoad(name, rehearsal));
    tell({ roads: [...roads] });
  }
  return roads;
}

/**
 * The upgrade action: takes a backup to the next release on both roads, on backends of this job alone, and says which
 * of them keeps the data.
 * @param startedAt when the step began, milliseconds since the epoch
 */
export async function upgrade(read: ReadInput, deps: Deps, startedAt: number): Promise<void> {
  const timeline = new Timeline(deps.clock, startedAt);
  let facts: UpgradeFacts = {};
  const tell: Tell = (more) => {
    facts = { ...facts, ...more };
  };
  let failure: unknown;
  setOutput("safe", "none", tmpdir());
  try {
    const all = await prepareAll(read, tell, deps);
    const bench = await Bench.create((state) => upgradeState.save(state), deps);
    try {
      failure = unsafe(await rehearse(all, bench, timeline, tell, deps));
    } finally {
      await bench.clear();
    }
  } catch (error) {
    failure = error;
  }
  await report(facts, timeline, failure, deps);
  if (failure !== undefined) throw failure;
  const safe = safeRoads(facts.roads ?? []);
  if (safe !== "both")
    deps.log.warning(`Only one of both roads is safe: ${safe}. The report says why the other is not.`);
  deps.log.info(`Rehearsed in ${seconds(deps.clock.now() - startedAt)}; safe: ${safe}.`);
}

async function report(facts: UpgradeFacts, timeline: Timeline, failure: unknown, deps: Deps): Promise<void> {
  const temp = tempOf(deps);
  setOutput("safe", safeRoads(facts.roads ?? []), temp);
  const shown =
    failure === undefined || failure instanceof ActionError
      ? failure
      : new ActionError("internal", messageOf(failure), REPORT_DEFECT);
  const times = { startedAt: timeline.start, endedAt: deps.clock.now(), phases: timeline.phases() };
  const made = upgradeReport(facts, times, shown);
  try {
    if (facts.manifest !== undefined) setOutput("report", (await publishReport(made, temp, deps)).html, temp);
  } catch (error) {
    deps.log.warning(`The report could not be written: ${messageOf(error)}`);
  }
  await writeSummary(reportSummary(made, shown));
}

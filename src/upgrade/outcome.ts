import { type Manifest, timeOf } from "../backup/manifest.ts";
import { CLIENT_VERSION } from "../deployment/connection.ts";
import type { Report, ReportCheck, ReportFacts } from "../report/report.ts";
import { ActionError } from "../runner/errors.ts";
import { type Phase, seconds } from "../runner/summary.ts";
import type { Road, RoadName } from "./roads.ts";

/** The output `safe`. */
export type Safe = "both" | "in-place" | "import" | "none";

const TITLES: Readonly<Record<RoadName, string>> = {
  "in-place": "In place",
  import: "Fresh release and import",
};

/** Which roads keep the data and the app's own checks. */
export function safeRoads(roads: readonly Road[]): Safe {
  const safe = roads.filter((road) => road.safe).map(({ name }) => name);
  if (safe.length === roads.length && safe.length > 0) return "both";
  return safe[0] ?? "none";
}

/** What there is to tell about a rehearsal, as far as it got. */
export interface UpgradeFacts {
  readonly from?: string;
  readonly to?: string;
  readonly location?: string;
  readonly manifest?: Manifest;
  readonly roads?: readonly Road[];
  readonly notes?: readonly string[];
}

function headlineOf(from: string, to: string, safe: Safe): string {
  switch (safe) {
    case "both":
      return `From ${from} to ${to} both roads are safe: in place, and a fresh release with the backup imported.`;
    case "in-place":
      return `From ${from} to ${to} in place is safe; importing the backup into a fresh release is not.`;
    case "import":
      return `From ${from} to ${to} upgrading in place is not safe; a fresh release with the backup imported is.`;
    case "none":
      return `From ${from} to ${to} neither road is safe.`;
  }
}

function roadFacts(road: Road): ReportFacts {
  const { name, safe, migration, downMs, failure } = road;
  const steps = migration?.steps ?? [];
  const rows: [string, string | undefined][] = [
    ["Verdict", safe ? "safe" : "not safe"],
    ["Why", failure],
    ["Time without service", downMs === undefined ? undefined : seconds(downMs)],
    [
      "Migration",
      migration === undefined
        ? undefined
        : `${steps.length === 0 ? "none was needed" : `${steps.length} steps (${steps.join(", ")})`} in ${seconds(migration.ms)}${migration.version === undefined ? "" : `; the data have version ${migration.version} now`}`,
    ],
  ];
  return { title: TITLES[name], facts: rows.filter((row): row is [string, string] => row[1] !== undefined) };
}

function backupFacts(manifest: Manifest): ReportFacts {
  const { id, instance, backend, snapshot } = manifest;
  return {
    title: "Backup",
    facts: [
      ["Id", id],
      ["Snapshot of", `${timeOf(snapshot.timestamp).slice(0, 19).replace("T", " ")} UTC`],
      ["Deployment", instance.name],
      ["Made on", backend.version],
      ["Content", `${snapshot.documents.toLocaleString("en-US")} documents, ${snapshot.files} files`],
      ["SHA-256 of the snapshot", snapshot.sha256],
    ],
  };
}

function named(road: Road): ReportCheck[] {
  return road.checks.map(({ name, ok, detail }) => ({
    name: `${TITLES[road.name]}: ${name}`,
    ok,
    ...(detail === undefined ? {} : { detail }),
  }));
}

export function upgradeReport(
  facts: UpgradeFacts,
  times: { readonly startedAt: number; readonly endedAt: number; readonly phases: readonly Phase[] },
  failure: ActionError | undefined,
): Report {
  const { roads = [], manifest, from = "the present release", to = "the next release" } = facts;
  const safe = safeRoads(roads);
  return {
    kind: "upgrade",
    title: "Upgrade rehearsal",
    verdict: failure === undefined ? (safe === "both" ? "passed" : "unfinished") : "failed",
    headline: roads.length === 0 ? "The rehearsal ended before a road was taken." : headlineOf(from, to, safe),
    startedAt: new Date(times.startedAt),
    endedAt: new Date(times.endedAt),
    objectives: [],
    phases: times.phases,
    tables: roads.map((road) => ({ title: TITLES[road.name], rows: road.rows })).filter(({ rows }) => rows.length > 0),
    checks: roads.flatMap(named),
    facts: [
      {
        title: "Releases",
        facts: [
          ["From", from],
          ["To", to],
          ["Backups from", facts.location ?? ""],
          ["Rehearsed by", `convex-selfhost/action ${CLIENT_VERSION}`],
        ],
      },
      ...roads.map(roadFacts),
      ...(manifest === undefined ? [] : [backupFacts(manifest)]),
    ],
    notes: facts.notes ?? [],
    ...(failure === undefined ? {} : { failure: failure.text }),
  };
}

/** Thrown last: a rehearsal in which no road holds. */
export function unsafe(roads: readonly Road[]): ActionError | undefined {
  if (safeRoads(roads) !== "none") return undefined;
  const why = roads.map(({ name, failure = "" }) => `${TITLES[name]}: ${failure.split("\n")[0] ?? ""}`).join(" ");
  return new ActionError(
    "upgrade-unsafe",
    `Neither road leads to the next release with the data as they are. ${why}`,
    "Stay on the present release. The report has what differs on each road.",
  );
}

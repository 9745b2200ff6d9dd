import { type Manifest, timeOf } from "../backup/manifest.ts";
import { CLIENT_VERSION } from "../deployment/connection.ts";
import { span } from "../report/html.ts";
import type { Objective, Report, ReportCheck, ReportFacts, ReportRow, Verdict } from "../report/report.ts";
import type { ActionError } from "../runner/errors.ts";
import type { Phase } from "../runner/summary.ts";

/** What there is to tell about a restore, as far as it got. */
export interface RestoreFacts {
  readonly url?: string;
  readonly instanceName?: string;
  readonly location?: string;
  readonly manifest?: Manifest;
  /** It was empty and paused when this step came: a drill. */
  readonly drill?: boolean;
  readonly replaced?: string;
  readonly safetyBackup?: string;
  readonly restoredVariables?: readonly string[];
  readonly verify?: "full" | "counts";
  readonly documents?: number;
  readonly rows?: readonly ReportRow[];
  readonly checks?: readonly ReportCheck[];
  readonly objectives?: readonly Objective[];
  /** What a reader has to know, one or two sentences each. */
  readonly notes?: readonly string[];
  /** In which state the target is now, one sentence each. */
  readonly state?: readonly string[];
  /** The data are what the backup holds. */
  readonly verified?: boolean;
}

const count = (value: number): string => value.toLocaleString("en-US");
const day = (iso: string): string => iso.slice(0, 16).replace("T", " ");

function backupFacts(manifest: Manifest): ReportFacts {
  const { id, instance, backend, code, encryption, snapshot, action } = manifest;
  const commit =
    code.commit === "unknown" ? "unknown" : `${code.commit}${code.assumed ? " (that of the workflow run)" : ""}`;
  return {
    title: "Backup",
    facts: [
      ["Id", id],
      ["Snapshot of", `${timeOf(snapshot.timestamp).slice(0, 19).replace("T", " ")} UTC`],
      ["Deployment", instance.name],
      ["Backend", backend.version],
      ["Code", commit],
      [
        "Content",
        `${count(snapshot.documents)} documents in ${snapshot.tables.length} tables, ${count(snapshot.files)} files`,
      ],
      ["Encryption", encryption.method === "age" ? `age, to ${encryption.recipients.join(", ")}` : "none"],
      ["Made by", `convex-selfhost/action ${action.version}`],
    ],
  };
}

function hashFacts({ objects, snapshot }: Manifest): ReportFacts {
  const stored = objects.map(({ name, sha256 }) => [name, sha256] as const);
  const encrypted = objects.some(({ sha256 }) => sha256 !== snapshot.sha256);
  return {
    title: "SHA-256, all compared",
    facts: [...stored, ...(encrypted ? [["snapshot.zip, decrypted", snapshot.sha256] as const] : [])],
  };
}

function targetFacts(facts: RestoreFacts): ReportFacts {
  const rows: [string, string | undefined][] = [
    ["URL", facts.url],
    ["Deployment", facts.instanceName],
    ["From", facts.location],
    ["Held before", facts.replaced],
    ["Kept as", facts.safetyBackup],
    ["Variables restored", facts.restoredVariables?.join(", ")],
    [
      "Verified by",
      facts.verify === "counts" ? "counts of documents" : "exporting again and comparing every table and file",
    ],
    ["Restored by", `convex-selfhost/action ${CLIENT_VERSION}`],
  ];
  return {
    title: "Target",
    facts: rows.filter((row): row is [string, string] => row[1] !== undefined && row[1] !== ""),
  };
}

function headlineOf(facts: RestoreFacts, verdict: Verdict): string {
  const { manifest, rows = [], objectives = [], checks = [] } = facts;
  if (manifest === undefined) return "The restore ended before a backup was chosen.";
  const when = day(timeOf(manifest.snapshot.timestamp));
  const different = rows.filter(({ content }) => content === "different").length;
  if (different > 0) return `${different} of ${rows.length} tables differ from the backup of ${when} UTC.`;
  const failed = checks.filter(({ ok }) => !ok).length;
  if (failed > 0) return `The data are restored, and ${failed} of ${checks.length} checks failed.`;
  const over = objectives.filter(({ seconds, limitSeconds = Number.POSITIVE_INFINITY }) => seconds > limitSeconds);
  if (over.length > 0) {
    const parts = over.map(
      ({ name, seconds, limitSeconds = 0 }) => `${name} ${span(seconds)} of ${span(limitSeconds)}`,
    );
    return `The data are restored, and a limit was missed: ${parts.join(", ")}.`;
  }
  if (verdict === "failed") return `The backup of ${when} UTC was not restored.`;
  const { documents, files } = manifest.snapshot;
  const proof = facts.verify === "counts" ? "with the same counts" : "equal to the last byte";
  const content = [`${count(documents)} documents`, files === 0 ? "" : `${count(files)} files`].filter(
    (part) => part !== "",
  );
  return `The backup of ${when} UTC restores: ${content.join(" and ")}, ${proof}.`;
}

/** The report of a restore that came to its end or did not. */
export function restoreReport(
  facts: RestoreFacts,
  times: { readonly startedAt: number; readonly endedAt: number; readonly phases: readonly Phase[] },
  failure: ActionError | undefined,
): Report {
  const { manifest, rows = [], instanceName } = facts;
  const verdict: Verdict = failure === undefined ? "passed" : "failed";
  const kind = facts.drill === true ? "drill" : "restore";
  const title = `${kind === "drill" ? "Restore drill" : "Restore"}${instanceName === undefined ? "" : ` of ${instanceName}`}`;
  return {
    kind,
    title,
    verdict,
    headline: headlineOf(facts, verdict),
    startedAt: new Date(times.startedAt),
    endedAt: new Date(times.endedAt),
    objectives: facts.objectives ?? [],
    phases: times.phases,
    tables: rows.length === 0 ? [] : [{ title: "Table by table", rows }],
    checks: facts.checks ?? [],
    facts: [targetFacts(facts), ...(manifest === undefined ? [] : [backupFacts(manifest), hashFacts(manifest)])],
    notes: [...(facts.state ?? []), ...(facts.notes ?? [])],
    ...(failure === undefined ? {} : { failure: failure.text }),
  };
}

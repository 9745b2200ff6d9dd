import { readFile } from "node:fs/promises";
import { rootCertificates } from "node:tls";
import { Heartbeat } from "../backup/heartbeat.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { checkUrlForm } from "../deployment/reach.ts";
import { annotateErrors } from "../runner/annotations.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { ReadInput } from "../runner/inputs.ts";
import { redactKnown } from "../runner/mask.ts";
import { setOutput } from "../runner/outputs.ts";
import { writeSummary } from "../runner/summary.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import type { Deps } from "../system/deps.ts";
import type { Http } from "../system/http.ts";
import { tempOf } from "../system/temp.ts";
import { examineBackups } from "./backups.ts";
import { runChecks } from "./checks.ts";
import type { Context } from "./context.ts";
import { factsOf } from "./facts.ts";
import { error, type Finding, worstFirst } from "./finding.ts";
import { type DeploymentInputs, type DoctorInputs, readDoctorInputs } from "./inputs.ts";
import { countOf, doctorSummary, verdictOf } from "./summary.ts";

const REQUEST_MS = 5000;

/** Trusts `ca` for https, and waits no longer than a check may take. */
function patientHttp(http: Http, ca: string | undefined): Http {
  return {
    request: (url, options = {}) =>
      http.request(url, {
        ...options,
        timeoutMs: Math.min(options.timeoutMs ?? REQUEST_MS, REQUEST_MS),
        ...(ca === undefined || !url.startsWith("https:") ? {} : { tls: { ca } }),
      }),
    stream: (url, options) => http.stream(url, options),
  };
}

/** The authorities of the file beside the usual ones, which a list of one's own would replace. */
async function readAuthorities(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, "utf8").catch((failure: unknown) => {
    throw new ActionError(
      "ca-file-unreadable",
      `ca-file: ${path} cannot be read: ${messageOf(failure)}.`,
      "Give a path relative to the workspace; let the step that writes it come before.",
    );
  });
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ActionError(
      "ca-file-unreadable",
      `ca-file: ${path} holds no certificate in PEM form.`,
      "Give the certificate of the authority, which begins with -----BEGIN CERTIFICATE-----.",
    );
  }
  return [...rootCertificates, text].join("\n");
}

/**
 * Examines one deployment; nothing on it is changed.
 * @throws ActionError `ca-file-unreadable`
 */
export async function examineDeployment(inputs: DeploymentInputs, deps: Deps): Promise<readonly Finding[]> {
  const { origin, findings } = checkUrlForm(inputs.url);
  if (origin === undefined) {
    return findings.map(({ message, hint }) => ({
      check: "reach",
      ...error(message, "Without a URL nothing else can be looked at.", hint),
    }));
  }
  const ca = await readAuthorities(inputs.caFile);
  const http = patientHttp(deps.http, ca);
  const asked = {
    ...inputs,
    writtenUrl: inputs.url,
    url: origin,
    currentDirectory: deps.env["GITHUB_WORKSPACE"] ?? process.cwd(),
    ca,
    http,
    client: new DeploymentClient({ ...deps, http, url: origin, adminKey: inputs.adminKey, attempts: 1 }),
    now: deps.clock.now(),
  };
  const context: Context = { ...asked, facts: factsOf(asked) };
  return await runChecks(context, deps.clock);
}

function tell(findings: readonly Finding[], deps: Deps): void {
  const text = ({ what, fix }: Finding): string => redactKnown(fix === "" ? what : `${what} → ${fix}`);
  for (const finding of findings) {
    if (finding.level === "warning") deps.log.warning(`${finding.check}: ${text(finding)}`);
    else deps.log.info(`${finding.level.padEnd(7)} ${finding.check}: ${text(finding)}`);
  }
  const errors = findings.filter(({ level }) => level === "error");
  annotateErrors(errors.map((finding) => ({ title: finding.check, message: text(finding) })));
}

/** The store is opened before anything is looked at: an input that is missing for it ends the run. */
function openBackups({ backups }: DoctorInputs, deps: Deps): Store | undefined {
  return backups === undefined ? undefined : openStore(backups.store, deps, backups.githubToken);
}

/** What is looked at, for headings: the deployment's origin, else where the backups are. */
function subjectOf({ deployment }: DoctorInputs, store: Store | undefined): string {
  if (deployment !== undefined) return checkUrlForm(deployment.url).origin ?? "url";
  return store?.location ?? "";
}

/** Deployment and backups are looked at side by side. */
async function examine(
  { deployment, backups }: DoctorInputs,
  store: Store | undefined,
  deps: Deps,
): Promise<readonly Finding[]> {
  // As the key names it; a key of another form is told by a check of its own.
  const instanceName = deployment?.adminKey.includes("|") ? deployment.adminKey.split("|")[0] : undefined;
  const found = await Promise.all([
    deployment === undefined ? [] : examineDeployment(deployment, deps),
    store === undefined || backups === undefined ? [] : examineBackups(store, backups.maxAgeMs, deps, instanceName),
  ]);
  return worstFirst(found.flat());
}

interface Examined {
  readonly subject: string;
  readonly findings: readonly Finding[];
}

function report(inputs: DoctorInputs, { subject, findings }: Examined, deps: Deps, startedAt: number): Promise<void> {
  const [errors, warnings] = [countOf(findings, "error"), countOf(findings, "warning")];
  const directory = tempOf(deps);
  setOutput("url", inputs.deployment === undefined ? "" : subject, directory);
  setOutput("findings", redactKnown(JSON.stringify(findings)), directory);
  setOutput("ok", String(errors === 0), directory);
  setOutput("errors", String(errors), directory);
  setOutput("warnings", String(warnings), directory);
  tell(findings, deps);
  return writeSummary(doctorSummary(subject, findings, deps.clock.now() - startedAt));
}

function judge(failOn: DoctorInputs["failOn"], subject: string, findings: readonly Finding[]): void {
  const fails =
    countOf(findings, "error") > 0 ? failOn !== "never" : countOf(findings, "warning") > 0 && failOn === "warning";
  if (!fails) return;
  const worst = findings[0];
  throw new ActionError(
    "doctor-findings",
    `The doctor found ${verdictOf(findings)} at ${subject}. The worst: ${worst?.check ?? ""}: ${worst?.what ?? ""}`,
    `${worst?.fix ?? ""} The job summary has all findings; docs/doctor.md explains the checks.`,
  );
}

/**
 * The doctor action: looks at a running deployment from outside, and at its backups, and says what is wrong, why it
 * matters and what to do.
 * @param startedAt when the step began, milliseconds since the epoch
 * @throws ActionError `doctor-findings` when what was found is as bad as `fail-on`
 */
export async function doctor(read: ReadInput, deps: Deps, startedAt: number): Promise<void> {
  const inputs = readDoctorInputs(read, deps.env);
  const store = openBackups(inputs, deps);
  const subject = subjectOf(inputs, store);
  const heartbeat = new Heartbeat(inputs.heartbeatUrl, deps);
  heartbeat.start();
  try {
    const findings = await examine(inputs, store, deps);
    await report(inputs, { subject, findings }, deps, startedAt);
    judge(inputs.failOn, subject, findings);
    deps.log.info(`The doctor found ${verdictOf(findings)} at ${subject}.`);
    await heartbeat.end({ kind: "complete", text: verdictOf(findings) });
  } catch (failure) {
    await heartbeat.end({ kind: "failed", text: messageOf(failure) });
    throw failure;
  }
}

import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../runner/errors.ts";
import { redactKnown } from "../runner/mask.ts";
import type { Deps } from "../system/deps.ts";
import { reportHtml } from "./html.ts";
import { type Report, reportJson } from "./report.ts";

/** Where a report lies. */
export interface Published {
  /** `report.html`; `report.json` is beside it. */
  readonly html: string;
  readonly json: string;
}

/** Uploads both files as one artifact, where the runner has a service for that. */
async function upload(name: string, directory: string, published: Published, deps: Deps): Promise<void> {
  const { env, log } = deps;
  if ((env["ACTIONS_RUNTIME_TOKEN"] ?? "") === "" || (env["ACTIONS_RESULTS_URL"] ?? "") === "") return;
  try {
    const { DefaultArtifactClient } = await import("@actions/artifact");
    const client = new DefaultArtifactClient();
    await client.uploadArtifact(name, [published.html, published.json], directory);
    log.info(`The report is the artifact ${name} of this run.`);
  } catch (error) {
    // Told, not done: the report is there, and the result is what it is.
    log.warning(`The report could not be uploaded as an artifact: ${messageOf(error)}. It lies at ${published.html}.`);
  }
}

/**
 * Writes the report as a page and as JSON, below the runner's folder for temporary files, and uploads both.
 * Masked values are taken out, as from everything that leaves the job by another way than its log.
 */
export async function publishReport(report: Report, temp: string, deps: Deps): Promise<Published> {
  const suffix = randomBytes(4).toString("hex");
  const directory = join(temp, `convex-${report.kind}-report-${suffix}`);
  await mkdir(directory, { mode: 0o700 });
  const published = { html: join(directory, "report.html"), json: join(directory, "report.json") };
  await writeFile(published.html, redactKnown(reportHtml(report)), { mode: 0o600 });
  await writeFile(published.json, redactKnown(reportJson(report)), { mode: 0o600 });
  await upload(`convex-${report.kind}-report-${suffix}`, directory, published, deps);
  return published;
}

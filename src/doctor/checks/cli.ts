import { findProject } from "../../deployment/project.ts";
import { type PushDialect, probeDialect, unfit } from "../../deployment/push-probe.ts";
import { messageOf } from "../../runner/errors.ts";
import type { Check } from "../context.ts";
import { error, NotChecked, ok } from "../finding.ts";

const KNOWN: Readonly<Record<PushDialect, string>> = {
  old: "like releases before 2025-11-04",
  whole: "like releases before 2026-01-22",
  current: "like releases since 2026-01-22",
};

/** The project's CLI speaks the language of the backend's deploy calls (contract 5.4). */
export const cli: Check = {
  id: "cli",
  async run({ http, url, workingDirectory, currentDirectory, facts }) {
    const [version] = await Promise.all([
      findProject(workingDirectory ?? currentDirectory).then(
        (project) => project.cli.version,
        (failure: unknown) => {
          // Without a checkout there is nothing to compare; with a directory named there should be.
          if (workingDirectory !== undefined) throw new NotChecked(messageOf(failure));
          return undefined;
        },
      ),
      facts.reached(),
    ]);
    if (version === undefined) throw new NotChecked("there is no project with the CLI installed in this job");
    const dialect = await probeDialect(http, url);
    if (dialect === undefined) throw new NotChecked("the backend does not tell which deploy calls it knows");
    const verdict = unfit(version, dialect);
    if (verdict === undefined)
      return [ok(`convex ${version} can deploy to this backend (it answers ${KNOWN[dialect]}).`)];
    return [
      error(
        verdict.message,
        "Every deploy with this CLI fails, with an error that names something else.",
        verdict.hint,
      ),
    ];
  },
};

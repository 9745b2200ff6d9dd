import { ActionError } from "../runner/errors.ts";
import type { StartInputs } from "../start/inputs.ts";
import type { UpgradeInputs } from "./inputs.ts";

function named(name: "from" | "to", { version, binaryPath }: StartInputs): void {
  if (version !== undefined || binaryPath !== undefined) return;
  throw new ActionError(
    "input-missing",
    `${name} is not set.`,
    `Set ${name}: to a release, such as 2026-09-28-5c7cb5b, a full commit or an image's digest.`,
  );
}

/**
 * Judges how inputs go together, before anything is started. Pure.
 * @throws ActionError `input-missing`, `input-conflict`
 */
export function checkUpgradeInputs({ from, to, checks }: UpgradeInputs): void {
  named("from", from);
  named("to", to);
  if (from.version !== undefined && from.version === to.version) {
    throw new ActionError(
      "input-conflict",
      `from and to are both ${from.version}, so nothing would be rehearsed.`,
      "Name the release that is to follow in to.",
    );
  }
  if (checks.length > 0 && !from.deploy) {
    throw new ActionError(
      "input-conflict",
      "checks is set, but deploy is false, so there are no functions that could be asked.",
      "Set deploy: true, or leave checks out.",
    );
  }
}

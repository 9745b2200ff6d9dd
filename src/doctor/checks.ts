import { messageOf } from "../runner/errors.ts";
import type { Clock } from "../system/clock.ts";
import { adminKey } from "./checks/admin-key.ts";
import { authKeys } from "./checks/auth-keys.ts";
import { authorization } from "./checks/authorization.ts";
import { cli } from "./checks/cli.ts";
import { dashboard } from "./checks/dashboard.ts";
import { defaultSecret } from "./checks/default-secret.ts";
import { httpActions } from "./checks/http-actions.ts";
import { instance } from "./checks/instance.ts";
import { discovery, issuer } from "./checks/issuer.ts";
import { metrics } from "./checks/metrics.ts";
import { origins } from "./checks/origins.ts";
import { paused } from "./checks/paused.ts";
import { reach } from "./checks/reach.ts";
import { tls } from "./checks/tls.ts";
import { websocket } from "./checks/websocket.ts";
import type { Check, Context } from "./context.ts";
import { type Finding, NotChecked, type Verdict } from "./finding.ts";

/** In the order in which they are shown, within a level. */
export const CHECKS: readonly Check[] = [
  reach,
  tls,
  instance,
  adminKey,
  authorization,
  defaultSecret,
  websocket,
  httpActions,
  origins,
  cli,
  authKeys,
  issuer,
  discovery,
  dashboard,
  metrics,
  paused,
];

const LIMIT_MS = 10_000;
const OWN_FAULT = "What it looks for was not looked at.";

/** Runs all checks at the same time. One that fails itself, or does not end, is a finding and stops no other. */
export async function runChecks(
  context: Context,
  clock: Clock,
  checks: readonly Check[] = CHECKS,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    checks.map(async (check) => (await limited(check, context, clock)).map((one) => ({ check: check.id, ...one }))),
  );
  return found.flat();
}

async function limited({ id, run }: Check, context: Context, clock: Clock): Promise<readonly Verdict[]> {
  const over = new AbortController();
  const late = async (): Promise<readonly Verdict[]> => {
    await clock.sleep(LIMIT_MS, over.signal);
    const what = `This check did not end within ${LIMIT_MS / 1000} s.`;
    // A deployment that does not even tell its version in that time is down for those who use it.
    return [
      {
        level: id === reach.id ? "error" : "warning",
        what,
        why: OWN_FAULT,
        fix: "Look at how long the deployment takes to answer.",
      },
    ];
  };
  try {
    return await Promise.race([run(context), late()]);
  } catch (failure) {
    if (failure instanceof NotChecked) {
      return [{ level: "notice", what: `Not checked: ${failure.message}.`, why: "", fix: "" }];
    }
    const what = `This check failed itself: ${messageOf(failure).split("\n")[0] ?? ""}`;
    return [{ level: "warning", what, why: OWN_FAULT, fix: "Look at the other findings first; one may be the cause." }];
  } finally {
    over.abort();
  }
}

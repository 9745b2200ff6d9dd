import type { DeploymentClient } from "../deployment/client.ts";
import { runCalls } from "../deployment/functions.ts";
import { proveSignIn } from "../deployment/sign-in.ts";
import { seconds } from "../runner/summary.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import type { Prepared } from "./prepare.ts";
import { runSmoke } from "./smoke.ts";
import type { DeployReport } from "./summary.ts";

/** What is done and proven once the code is live: functions, sign-in, smoke checks. */
export async function checkAfter(
  prepared: Prepared,
  client: DeploymentClient,
  timeline: Timeline,
  tell: (facts: Partial<DeployReport>) => void,
  deps: Deps,
): Promise<void> {
  const { inputs, calls, smoke, scan } = prepared;
  const { showDocuments } = inputs;
  if (calls.length > 0) {
    const done = await timeline.phase("run", () => runCalls(client, deps, calls, { showDocuments }));
    tell({ ran: done.map(({ path, ms }) => `${path} (${seconds(ms)})`) });
  }
  if (scan.usesOwnSite) {
    tell({ signIn: await timeline.phase("sign-in", () => checkIssuer(client, deps)) });
  }
  if (smoke.length > 0) {
    tell({ smoke: await timeline.phase("smoke", () => runSmoke(smoke, { http: deps.http, client, showDocuments })) });
  }
}

/**
 * A green deploy does not mean that sign-in works (contract 12): an app that is its own issuer is asked for its keys.
 * @throws ActionError with the code of the first defect
 */
async function checkIssuer(client: DeploymentClient, deps: Deps): Promise<string> {
  const origins = await client.canonicalUrls();
  if (origins === undefined) return "not checked: this backend does not tell its site origin";
  const jwks = (await client.listVariables()).get("JWKS");
  return await proveSignIn(deps, {
    siteUrl: origins.site,
    siteOrigin: origins.site,
    closed: true,
    ...(jwks === undefined ? {} : { jwks }),
  });
}

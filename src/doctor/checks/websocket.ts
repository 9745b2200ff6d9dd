import { messageOf } from "../../runner/errors.ts";
import type { Check } from "../context.ts";
import { error, ok, type Verdict } from "../finding.ts";
import { probeSync, type SyncOutcome } from "../wire.ts";

/** Any that the backend takes (contract 6.1). */
const VERSION = "1.48.0";
const WHY =
  "Clients get all their data over this connection: pages stay empty or reconnect for ever. `convex env`, `data`, `export`, `import` and deploys that remove an index need it too.";
const UPGRADE =
  'Let the proxy upgrade /api/<version>/sync (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";).';

/** The sync websocket opens through whatever stands in front, and carries messages. */
export const websocket: Check = {
  id: "websocket",
  async run({ url, ca, facts }) {
    await facts.reached();
    try {
      return [judge(url, await probeSync(url, VERSION, { ca, timeoutMs: 4500 }))];
    } catch (failure) {
      return [error(`The websocket at ${url}/api/sync does not open: ${messageOf(failure)}.`, WHY, UPGRADE)];
    }
  },
};

function judge(url: string, outcome: SyncOutcome): Verdict {
  switch (outcome.kind) {
    case "works":
      return ok("The websocket opens and answers.");
    case "refused":
      return refused(url, outcome.status);
    case "upgraded":
      return error(
        outcome.after === "not-websocket"
          ? `Something else than a websocket answers the upgrade at ${url}/api/sync.`
          : outcome.after === "closed"
            ? `The websocket at ${url}/api/sync opens and is cut at once.`
            : `The websocket at ${url}/api/sync opens, and no message comes back.`,
        WHY,
        "Look at what the proxy does with open connections: time limits, buffering, inspection of websockets.",
      );
  }
}

function refused(url: string, status: number): Verdict {
  const what = `The websocket upgrade at ${url}/api/<version>/sync is answered with ${status}.`;
  if (status === 404) {
    return error(what, WHY, "Let the proxy pass this path on unchanged, with no prefix added or taken away.");
  }
  return error(what, WHY, status === 400 || status === 426 ? UPGRADE : `${UPGRADE} Its log tells why it refused.`);
}

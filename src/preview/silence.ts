import { ActionError } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Log } from "../system/deps.ts";
import type { Health } from "./target.ts";
import type { Public } from "./wait.ts";

/** Why a try in public failed. */
export interface Seen {
  /** Which link of the chain did not hold, as far as a client can tell. */
  readonly kind: "dns" | "tls" | "proxy" | "route";
  readonly text: string;
}

interface Cause {
  readonly code: string;
  readonly why: (host: string) => string;
  readonly hint: (host: string) => string;
}

const CAUSES: Readonly<Record<Seen["kind"], Cause>> = {
  dns: {
    code: "preview-dns",
    why: (host) => `DNS does not know ${host}`,
    hint: (host) => `Add a wildcard record (*.${host.split(".").slice(1).join(".")}) that leads to the preview host.`,
  },
  tls: {
    code: "preview-tls",
    why: (host) => `the TLS connection to ${host} fails`,
    hint: () =>
      "Give the proxy a wildcard certificate, or a resolver that gets one (cert-resolver; Caddy does it itself); its log says what it waits for. For an authority of your own set NODE_EXTRA_CA_CERTS in the job's env:.",
  },
  proxy: {
    code: "preview-proxy",
    why: (host) => `nothing answers at ${host}`,
    hint: () =>
      "Check that the proxy runs on the preview host, that its port is open to this job, and that DNS leads to the right server.",
  },
  route: {
    code: "preview-route",
    why: () => "the proxy answers, and not with the preview",
    hint: () =>
      "Check that the proxy watches this engine's containers (Traefik: providers.docker; Caddy: the docker-proxy build) and is on the network that proxy-network names.",
  },
};

/** The error that names the link at fault: the backend itself, or what stands before it. */
export function silence(seen: Seen, url: string, health: Health, wanted: Public, log: Log): ActionError {
  const { hostname } = new URL(url);
  if (!health.answers) return backendFault(health, wanted, log);
  const { code, why, hint } = CAUSES[seen.kind];
  return new ActionError(
    code,
    `The preview runs on its host and answers there, but not in public within ${seconds(wanted.timeoutMs)}: ${why(hostname)} (${seen.text.replace(/[.\s]+$/, "")}).`,
    hint(hostname),
  );
}

function backendFault(health: Health, { name, timeoutMs }: Public, log: Log): ActionError {
  log.foreign(health.log);
  const above = health.log.length === 0 ? "" : ` Its last ${health.log.length} log lines are above.`;
  const memory = health.outOfMemory ? ", out of memory" : "";
  const what =
    health.restarts > 0
      ? `ended and was started again ${health.restarts} time${health.restarts === 1 ? "" : "s"}${memory}`
      : health.running
        ? `runs and did not answer within ${seconds(timeoutMs)}`
        : `does not run${health.exitCode === undefined ? "" : `; it ended with exit code ${health.exitCode}${memory}`}`;
  return new ActionError(
    "preview-backend",
    `The backend of preview ${name} ${what}.${above}`,
    health.outOfMemory ? "Raise memory." : "Its log names the cause; raise ready-timeout if it was still working.",
  );
}

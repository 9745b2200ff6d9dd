import { bootFailure, READ_LINES } from "../backend/boot-failure.ts";
import { waitUntilReady } from "../backend/readiness.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { ActionError } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { launch } from "./launch.ts";
import type { Run, Usable } from "./run.ts";

function maskKey(adminKey: string, deps: Deps): string {
  deps.log.mask(adminKey);
  const [, encrypted] = adminKey.split("|");
  if (encrypted !== undefined) deps.log.mask(encrypted);
  return adminKey;
}

/** Launches the backend, makes its key and waits until it is proven ready. */
export async function bringUp(run: Run): Promise<Usable> {
  const { prepared, timeline, deps, tell } = run;
  const { inputs, instanceSecret } = prepared;
  // Its ciphers take some 20 ms to load, which pass while the backend boots.
  const [launched, { issueAdminKey }] = await Promise.all([
    launch(prepared, run.save, timeline, deps),
    import("../credentials/admin-key.ts"),
  ]);
  const secret = launched.instanceSecret;
  if (secret !== undefined) deps.log.mask(secret);
  const issue = (format: "current" | "legacy"): string =>
    maskKey(
      issueAdminKey({
        instanceName: launched.instanceName ?? inputs.instanceName,
        instanceSecret: secret ?? instanceSecret,
        format,
      }),
      deps,
    );
  const { key } = launched;
  const credentials =
    key === undefined
      ? {
          instanceName: launched.instanceName ?? inputs.instanceName,
          adminKey: issue("current"),
          legacyKey: () => issue("legacy"),
        }
      : {
          key: async () => {
            const own = await key();
            maskKey(own.adminKey, deps);
            return own;
          },
        };
  const ready = await timeline.phase("ready", () =>
    waitUntilReady(
      launched.backend,
      { ...credentials, timeoutMs: inputs.readyTimeoutMs, secrets: secret === undefined ? [] : [secret] },
      deps,
    ),
  );
  if (ready.legacy) {
    deps.log.notice("The backend takes only admin keys of the legacy format: it is older than 2025-05-30.");
  }
  const { url, siteUrl } = launched.backend;
  tell({ url, siteUrl, readyMs: deps.clock.now() - timeline.start });
  const client = new DeploymentClient({
    url,
    adminKey: ready.adminKey,
    http: deps.http,
    clock: deps.clock,
    log: deps.log,
  });
  return { launched, adminKey: ready.adminKey, instanceName: ready.instanceName, client };
}

/** A backend that ends under our hands (full disk, lost database) first fails the call that is under way. */
const ENDING_MS = 300;
/** Longer after an error that its end would explain. */
const SUSPECTED_ENDING_MS = 2000;

/** The error that explains more: why the backend ended, where it did, with what failed as its cause. */
export async function insteadOf(
  error: unknown,
  { launched, adminKey }: Usable,
  endedAt: () => number | undefined,
  run: Run,
): Promise<unknown> {
  const { backend, instanceSecret } = launched;
  const { clock, log } = run.deps;
  const suspected = error instanceof ActionError && /^(backend|deploy|run|import)-/.test(error.code);
  const ended = await Promise.race([backend.ended, clock.sleep(suspected ? SUSPECTED_ENDING_MS : ENDING_MS)]);
  if (ended === undefined) return error;
  const lines = await backend.logs(READ_LINES).catch(() => []);
  const secrets = instanceSecret === undefined ? [adminKey] : [adminKey, instanceSecret];
  const failure = bootFailure(ended, lines, { afterMs: (endedAt() ?? clock.now()) - run.timeline.start, secrets }, log);
  failure.cause = error;
  return failure;
}

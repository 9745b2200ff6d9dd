import { BackendError } from "../deployment/backend-error.ts";
import { DeploymentClient } from "../deployment/client.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import { seconds } from "../runner/summary.ts";
import type { Deps } from "../system/deps.ts";
import { HttpFault } from "../system/http.ts";
import { type Seen, silence } from "./silence.ts";
import type { Health, Target } from "./target.ts";

export interface Public {
  readonly name: string;
  readonly instanceName: string;
  readonly origins: { readonly cloud: string; readonly site: string };
  readonly timeoutMs: number;
  /** Makes a key; the legacy one is tried when the current one is refused (contract 2.2). */
  key(format: "current" | "legacy"): string;
}

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [50, 500] as const;
const ANSWER_MS = 5_000;
/** How often the place itself is asked while the public name is silent. */
const LOOK_MS = 3_000;
const TELL_MS = 15_000;

/**
 * Waits until the preview is proven usable by everybody: through DNS, TLS and proxy, under its own name, with its key.
 * @returns a client that the backend accepts, and its key
 * @throws ActionError `preview-dns`, `preview-tls`, `preview-proxy`, `preview-route`, `preview-backend`, `other-instance`, `admin-key-rejected`
 */
export async function waitInPublic(
  target: Target,
  wanted: Public,
  deps: Deps,
): Promise<{ readonly client: DeploymentClient; readonly adminKey: string }> {
  const { cloud, site } = wanted.origins;
  const started = deps.clock.now();
  const left = (): number => wanted.timeoutMs - (deps.clock.now() - started);
  await answers(target, wanted, `${cloud}/version`, left, deps);
  const [accepted] = await Promise.all([
    accept(wanted, deps),
    answers(target, wanted, `${site}/version`, left, deps, true),
  ]);
  return accepted;
}

/** Polls until there is an answer of a backend; of HTTP actions any answer that a proxy would not give. */
async function answers(
  target: Target,
  wanted: Public,
  url: string,
  left: () => number,
  deps: Deps,
  anyPage = false,
): Promise<void> {
  const { clock, log } = deps;
  let pause: number = FIRST_PAUSE_MS;
  let looked = clock.now();
  let told = clock.now();
  for (;;) {
    const seen = await look(url, Math.ceil(Math.max(500, Math.min(ANSWER_MS, left()))), anyPage, deps);
    if (seen === undefined) return;
    if (left() <= 0) throw silence(seen, url, await target.health(wanted.name), wanted, deps.log);
    if (clock.now() - looked > LOOK_MS) {
      looked = clock.now();
      const health = await target.health(wanted.name);
      if (ended(health)) throw silence(seen, url, health, wanted, deps.log);
    }
    if (clock.now() - told > TELL_MS) {
      told = clock.now();
      log.info(`Waiting for ${url}: ${seen.text} (${seconds(left())} left).`);
    }
    await clock.sleep(pause);
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5);
  }
}

/** A backend that ends is started again and again by its restart policy: twice is no accident. */
function ended({ running, answers, restarts }: Health): boolean {
  return !answers && (restarts >= 2 || !running);
}

async function look(url: string, timeoutMs: number, anyPage: boolean, deps: Deps): Promise<Seen | undefined> {
  try {
    const answer = await deps.http.request(url, { timeoutMs, maxBytes: 1024 * 1024 });
    const text = answer.text();
    const isPage = /^\s*</.test(text);
    if (answer.status === 200 && !isPage) return undefined;
    // HTTP actions may answer /version themselves; proxies without a route or an upstream say 404 or 502 to 504.
    if (anyPage && ![404, 502, 503, 504].includes(answer.status)) return undefined;
    return { kind: "route", text: `status ${answer.status}${isPage ? ", a web page" : ""}` };
  } catch (error) {
    if (!(error instanceof HttpFault)) throw error;
    return { kind: kindOf(error.code), text: messageOf(error) };
  }
}

function kindOf(code: string): Seen["kind"] {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "ENODATA") return "dns";
  if (/CERT|SELF_SIGNED|UNABLE_TO|DEPTH_ZERO|ERR_TLS|ERR_SSL|EPROTO/.test(code)) return "tls";
  return "proxy";
}

async function accept(
  { origins, instanceName, key }: Public,
  deps: Deps,
): Promise<{ client: DeploymentClient; adminKey: string }> {
  const url = origins.cloud;
  const first = key("current");
  const client = new DeploymentClient({ ...deps, url, adminKey: first });
  const name = (await client.instanceName()).trim();
  if (name !== instanceName) {
    throw new ActionError(
      "other-instance",
      `At ${url} answers ${/^[\w.-]{1,64}$/.test(name) ? `the Convex instance "${name}"` : "something else"}, not the preview "${instanceName}": its name leads to another container or host.`,
      "Check that no other router or site of the proxy has this host name, and that DNS leads to the right server.",
    );
  }
  try {
    await client.checkAdminKey();
    return { client, adminKey: first };
  } catch (error) {
    if (!(error instanceof BackendError) || error.code !== "admin-key-rejected") throw error;
    const legacy = key("legacy");
    const older = new DeploymentClient({ ...deps, url, adminKey: legacy });
    await older.checkAdminKey();
    return { client: older, adminKey: legacy };
  }
}

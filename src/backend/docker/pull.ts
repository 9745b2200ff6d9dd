import type { Readable } from "node:stream";
import { ActionError } from "../../runner/errors.ts";
import type { Deps } from "../../system/deps.ts";
import { HttpFault } from "../../system/http.ts";
import { type Engine, EngineFault } from "./engine.ts";
import { fieldsOf, textOf } from "./fields.ts";
import { jsonLines } from "./frames.ts";
import { PullProgress } from "./progress.ts";
import { pullError } from "./pull-errors.ts";
import { splitReference } from "./reference.ts";
import { registryAuth } from "./registry-auth.ts";

/** Waits before the second, third and fourth try. The engine itself has retried broken downloads already. */
const PAUSES_MS = [2_000, 6_000, 15_000];
/** The engine reports every second while it works; so long a silence means that it does not. */
const SILENCE_MS = 180_000;

/**
 * Pulls an image through the engine, tries again where a fault can pass (429, 5xx, broken connection).
 * @returns the digest that the registry gave, where the engine tells it
 * @throws ActionError `registry-unauthorized`, `registry-denied`, `image-not-found`, `registry-rate-limit`, `registry-failed`, `registry-tls`, `registry-unreachable`, `image-pull-failed`
 */
export async function pullImage(engine: Engine, reference: string, deps: Deps): Promise<string | undefined> {
  const auth = await registryAuth(deps, splitReference(reference).registry);
  for (let attempt = 0; ; attempt++) {
    const failure = await pullOnce(engine, reference, auth, deps);
    if (!(failure instanceof ActionError)) return failure.digest;
    const pause = PAUSES_MS[attempt];
    const passing = ["registry-rate-limit", "registry-failed", "registry-unreachable"].includes(failure.code);
    if (!passing || pause === undefined) throw failure;
    deps.log.warning(
      `${failure.message} Trying again in ${pause / 1000} s (try ${attempt + 2} of ${PAUSES_MS.length + 1}).`,
    );
    await deps.clock.sleep(pause);
  }
}

async function pullOnce(
  engine: Engine,
  reference: string,
  auth: string | undefined,
  deps: Deps,
): Promise<{ digest?: string } | ActionError> {
  try {
    const answer = await engine.stream(`pull ${reference}`, "/images/create", {
      method: "POST",
      query: { fromImage: reference },
      timeoutMs: SILENCE_MS,
      ...(auth === undefined ? {} : { headers: { "X-Registry-Auth": auth } }),
    });
    return await readPull(answer.body, reference, auth !== undefined, deps);
  } catch (error) {
    if (error instanceof EngineFault) return pullError(reference, error.reason, auth !== undefined, error);
    throw error;
  }
}

/** Errors after the head come inside of a body with status 200. */
async function readPull(
  body: Readable,
  reference: string,
  withCredentials: boolean,
  deps: Deps,
): Promise<{ digest?: string } | ActionError> {
  const progress = new PullProgress(reference, deps);
  let digest: string | undefined;
  try {
    for await (const value of jsonLines(body)) {
      const line = fieldsOf(value);
      const reason = textOf(fieldsOf(line["errorDetail"])["message"]) ?? textOf(line["error"]);
      if (reason !== undefined) return pullError(reference, reason, withCredentials);
      digest = /^Digest: (sha256:[0-9a-f]{64})$/.exec(textOf(line["status"]) ?? "")?.[1] ?? digest;
      progress.take(line);
    }
  } catch (error) {
    throw new ActionError(
      "engine-lost",
      `The Docker engine broke off while it pulled ${reference}${error instanceof HttpFault && error.code === "TIMEOUT" ? `: nothing new for ${SILENCE_MS / 1000} s` : ""}.`,
      "Check whether it still runs (docker info), its log, and the space on its disk.",
      { cause: error },
    );
  }
  return digest === undefined ? {} : { digest };
}

/** What GitHub answered to a call that failed; status 0 when there was no answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
  readonly message: string;
}

export interface Pause {
  readonly ms: number;
  /** Continues "GitHub …". */
  readonly why: string;
}

const MOST_ATTEMPTS = 4;

/** Both kinds of limits come as 403 or 429; only headers and text tell them from a missing permission. */
export function isLimit({ status, headers, message }: Answer): boolean {
  if (status === 429) return true;
  return (
    status === 403 &&
    (headers["retry-after"] !== undefined ||
      String(headers["x-ratelimit-remaining"]) === "0" ||
      /rate limit|abuse detection/i.test(message))
  );
}

/** Milliseconds until GitHub takes calls again, by its headers; undefined when it does not say. */
export function openAgain({ headers }: Answer, now: number): number | undefined {
  const after = headers["retry-after"];
  if (after !== undefined) {
    const seconds = Number(after);
    const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(String(after)) - now;
    if (Number.isFinite(ms)) return Math.max(0, ms);
  }
  const reset = Number(headers["x-ratelimit-reset"]);
  // A second more: it counts in whole ones.
  if (String(headers["x-ratelimit-remaining"]) === "0" && reset > 0) return Math.max(0, reset * 1000 - now) + 1000;
  return undefined;
}

/**
 * How long to wait before the same call is made again; undefined where that would not help, or could do it twice.
 * Limits: GitHub's "Best practices for using the REST API" (without a header at least a minute, then longer).
 */
export function pauseAfter(
  answer: Answer,
  call: { readonly method: string; readonly attempt: number; readonly now: number },
): Pause | undefined {
  if (call.attempt + 1 >= MOST_ATTEMPTS) return undefined;
  if (isLimit(answer)) {
    const ms = openAgain(answer, call.now) ?? 60_000 * 2 ** call.attempt;
    return { ms, why: "limits how many calls it takes" };
  }
  // A POST without an answer may have been carried out.
  const repeatable = call.method !== "POST";
  if (!repeatable || (answer.status !== 0 && answer.status < 500)) return undefined;
  const ms = 1000 * 2 ** call.attempt;
  return { ms, why: answer.status === 0 ? `did not answer (${answer.message})` : `answered ${answer.status}` };
}

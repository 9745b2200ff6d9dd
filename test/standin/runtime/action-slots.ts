/** Sixteen actions run at a time; more wait, and are refused after five seconds (contract 1.7). */
import { ApiError } from "../types.ts";

const SLOTS = 16;
const PATIENCE_MS = 5000;

export class ActionSlots {
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  /** Throws 429 when no place gets free in time. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= SLOTS) await this.#wait();
    else this.#busy += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy -= 1;
      else next();
    }
  }

  /** Resolves when another's place was handed over. */
  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        const limit = `Too many concurrent requests. Your backend is limited to ${SLOTS} concurrent actions.`;
        const advice =
          "To get more resources, upgrade to Convex Pro. If you are already on Convex Pro, please contact support.";
        reject(new ApiError(429, "TooManyConcurrentRequests", `${limit} ${advice}`));
      }, PATIENCE_MS);
      this.#waiting.push(enter);
    });
  }
}

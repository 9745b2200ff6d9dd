import type { Deps } from "../system/deps.ts";

/** The log gets one line of progress in that time. */
const EVERY_MS = 5000;

export const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

/** Tells how far something of a known size has come: amount, rate, time left. */
export class Meter {
  readonly #deps: Pick<Deps, "clock" | "log">;
  readonly #what: string;
  readonly #total: number;
  readonly #start: number;
  #told: number;
  #bytes = 0;

  /** @param what in front of the amount: `Downloaded` */
  constructor(what: string, total: number, deps: Pick<Deps, "clock" | "log">) {
    this.#deps = deps;
    this.#what = what;
    this.#total = total;
    this.#start = deps.clock.now();
    this.#told = this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const now = this.#deps.clock.now();
    if (now - this.#told < EVERY_MS) return;
    this.#told = now;
    const rate = this.#bytes / Math.max(now - this.#start, 1);
    const left = Math.ceil((this.#total - this.#bytes) / rate / 1000);
    const speed = (rate / 1000).toFixed(1);
    this.#deps.log.info(
      `${this.#what} ${megabytes(this.#bytes)} of ${megabytes(this.#total)}, ${speed} MB/s, ${Math.max(left, 0)} s left`,
    );
  }

  /** Everything again from the beginning. */
  reset(): void {
    this.#bytes = 0;
  }
}

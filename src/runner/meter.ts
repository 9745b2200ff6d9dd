import type { Deps } from "../system/deps.ts";

/** The log gets one line of progress in that time. */
const EVERY_MS = 5000;

/** `812 B`, `8.3 kB`, `52.1 MB`, `4.2 GB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const [unit, size] = bytes < 1e6 ? ["kB", 1e3] : bytes < 1e9 ? ["MB", 1e6] : ["GB", 1e9];
  return `${(bytes / Number(size)).toFixed(1)} ${unit}`;
}

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
      `${this.#what} ${sizeText(this.#bytes)} of ${sizeText(this.#total)}, ${speed} MB/s, ${Math.max(left, 0)} s left`,
    );
  }

  /** Everything again from the beginning. */
  reset(): void {
    this.#bytes = 0;
  }
}

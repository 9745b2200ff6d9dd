import type { Clock } from "../system/clock.ts";
import type { Phase } from "./summary.ts";

/** Remembers when each phase began and ended, also of those that failed; phases may overlap. */
export class Timeline {
  readonly #clock: Clock;
  readonly #phases: Phase[] = [];
  readonly start: number;

  constructor(clock: Clock, start: number) {
    this.#clock = clock;
    this.start = start;
  }

  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    const from = this.#clock.now();
    try {
      return await work();
    } finally {
      this.#phases.push({ name, from, to: this.#clock.now() });
    }
  }

  /** In the order of their beginnings. */
  phases(): readonly Phase[] {
    return [...this.#phases].sort((a, b) => a.from - b.from);
  }

  /** The output `timings`: milliseconds since the start of the step. */
  json(): string {
    return JSON.stringify(
      this.phases().map(({ name, from, to }) => ({ phase: name, start: from - this.start, end: to - this.start })),
    );
  }
}

import type { Deps } from "../../system/deps.ts";
import { type Fields, fieldsOf, numberOf, textOf } from "./fields.ts";

const EVERY_MS = 5_000;

interface Layer {
  done: number;
  total: number;
}

/** Tells how far a pull is, at most every 5 s: amount, rate and time left. */
export class PullProgress {
  readonly #reference: string;
  readonly #deps: Deps;
  readonly #started: number;
  readonly #layers = new Map<string, Layer>();
  #told: number;

  constructor(reference: string, deps: Deps) {
    this.#reference = reference;
    this.#deps = deps;
    this.#started = deps.clock.now();
    this.#told = this.#started;
  }

  /** One line of the engine's progress stream. */
  take(line: Fields): void {
    const id = textOf(line["id"]);
    if (id !== undefined) this.#note(id, textOf(line["status"]) ?? "", fieldsOf(line["progressDetail"]));
    const now = this.#deps.clock.now();
    if (now - this.#told < EVERY_MS) return;
    this.#told = now;
    this.#deps.log.info(`Pulling ${this.#reference}: ${this.#amounts(now)}`);
  }

  #note(id: string, status: string, detail: Fields): void {
    const layer = this.#layers.get(id);
    const total = numberOf(detail["total"]);
    if (status === "Downloading" && total !== undefined) {
      this.#layers.set(id, { done: numberOf(detail["current"]) ?? 0, total });
    } else if (layer !== undefined && /^(Download complete|Verifying|Extracting|Pull complete)/.test(status)) {
      layer.done = layer.total;
    }
  }

  #amounts(now: number): string {
    let done = 0;
    let total = 0;
    for (const layer of this.#layers.values()) {
      done += layer.done;
      total += layer.total;
    }
    if (total === 0) return "waiting for the registry";
    if (done === total) return `${megabytes(total)} downloaded, unpacking`;
    const rate = done / ((now - this.#started) / 1000);
    const left = rate > 0 ? `, ${Math.ceil((total - done) / rate)} s left` : "";
    return `${megabytes(done)} of ${megabytes(total)}, ${megabytes(rate)}/s${left}`;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

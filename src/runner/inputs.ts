import { ActionError } from "./errors.ts";
import { mask, SHORTEST_MASK } from "./mask.ts";

/** Linux takes no environment variable above 128 KiB, and inputs are such variables. */
const LARGEST_INPUT = 120 * 1024;

/** Timers hold 2^31 - 1 milliseconds, and end at once beyond that. */
const LONGEST_TIMER_MS = 24 * 86_400_000;

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The text of an input by its name, untrimmed; empty when it is not set. */
export type ReadInput = (name: string) => string;

/** How the runner hands inputs over: `INPUT_<NAME>`, blanks as underscores. */
export function inputsOf(env: Readonly<Record<string, string | undefined>>): ReadInput {
  return (name) => env[`INPUT_${name.replaceAll(" ", "_").toUpperCase()}`] ?? "";
}

function refuse(name: string, value: string, allowed: string): ActionError {
  return new ActionError("input-invalid", `${name}: ${JSON.stringify(value)} is not accepted.`, `Allowed: ${allowed}.`);
}

/** Reads inputs one by one, each with its rule. Every method throws `input-invalid` with the input's name, value and what is allowed. */
export class Inputs {
  readonly #read: ReadInput;

  constructor(read: ReadInput) {
    this.#read = read;
  }

  /** As written, for values where blanks and newlines count. */
  raw(name: string): string {
    const value = this.#read(name);
    if (Buffer.byteLength(value) > LARGEST_INPUT) {
      throw new ActionError(
        "input-too-large",
        `${name} holds ${Math.round(Buffer.byteLength(value) / 1024)} KiB; inputs are environment variables, which end at 128 KiB.`,
        name === "env" ? "Move the variables to a file and name it in env-file." : "Shorten it, or move it to a file.",
      );
    }
    return value;
  }

  text(name: string): string {
    return this.raw(name).trim();
  }

  optional(name: string): string | undefined {
    const value = this.text(name);
    return value === "" ? undefined : value;
  }

  /** The YAML 1.2 core forms only: a typo must not switch something off silently. */
  boolean(name: string, fallback: boolean): boolean {
    const value = this.text(name);
    if (value === "") return fallback;
    if (["true", "True", "TRUE"].includes(value)) return true;
    if (["false", "False", "FALSE"].includes(value)) return false;
    throw refuse(name, value, "true, false");
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.text(name);
    if (value === "") return fallback;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw refuse(name, value, choices.join(", "));
    return found;
  }

  integer(name: string, range: { readonly least: number; readonly most: number }, fallback: number): number {
    const value = this.text(name);
    if (value === "") return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= range.least && number <= range.most)) {
      throw refuse(name, value, `a whole number from ${range.least} to ${range.most}`);
    }
    return number;
  }

  /** A time that is waited for: seconds, or a number with `s`, `m`, `h` or `d`; returned in milliseconds. */
  duration(name: string, fallbackMs: number): number {
    const ms = this.age(name, fallbackMs);
    if (ms > LONGEST_TIMER_MS) throw refuse(name, this.text(name), "at most 24d");
    return ms;
  }

  /** The same for what is only compared, and may be longer than a timer. */
  age(name: string, fallbackMs: number): number {
    const value = this.text(name);
    if (value === "") return fallbackMs;
    const parts = /^(\d{1,6})\s*(s|m|h|d)?$/.exec(value);
    const ms = Number(parts?.[1] ?? 0) * (UNIT_MS[parts?.[2] ?? "s"] ?? 0);
    if (ms === 0) throw refuse(name, value, "seconds, such as 30 or 30s, or a number with m, h or d, such as 2m");
    return ms;
  }

  /** A longer time: a number with `m`, `h` or `d`; returned in milliseconds, undefined for `none`. */
  period(name: string, fallbackMs: number | undefined): number | undefined {
    const value = this.text(name);
    if (value === "") return fallbackMs;
    if (value === "none") return undefined;
    const parts = /^(\d{1,6})\s*(m|h|d)$/.exec(value);
    const unit = { m: 60_000, h: 3_600_000, d: 86_400_000 }[parts?.[2] ?? "m"] ?? 0;
    const ms = Number(parts?.[1] ?? 0) * unit;
    if (ms === 0) throw refuse(name, value, "minutes, hours or days, such as 90m, 36h or 14d, or none");
    return ms;
  }

  /** An amount of memory, in bytes; undefined for `none`. */
  bytes(name: string, fallback: number | undefined): number | undefined {
    const value = this.text(name);
    if (value === "") return fallback;
    if (value === "none") return undefined;
    const parts = /^(\d{1,5}(?:\.\d{1,3})?)\s*(m|g)(?:i?b)?$/i.exec(value);
    const bytes = Number(parts?.[1] ?? 0) * (parts?.[2]?.toLowerCase() === "g" ? 1024 ** 3 : 1024 ** 2);
    if (bytes === 0) throw refuse(name, value, "an amount with m or g, such as 512m or 1.5g, or none");
    return Math.round(bytes);
  }

  /** A positive number with a point in it or not; undefined for `none`. */
  decimal(name: string, fallback: number | undefined): number | undefined {
    const value = this.text(name);
    if (value === "") return fallback;
    if (value === "none") return undefined;
    const number = /^\d{1,4}(?:\.\d{1,3})?$/.test(value) ? Number(value) : 0;
    if (number === 0) throw refuse(name, value, "a number above 0, such as 0.5 or 2, or none");
    return number;
  }

  /** Non-empty lines, trimmed; lines that begin with `#` are comments. */
  lines(name: string): string[] {
    return this.raw(name)
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== "" && !line.startsWith("#"));
  }

  /** Words separated by blanks, commas or newlines. */
  words(name: string): string[] {
    return this.raw(name)
      .split(/[\s,]+/)
      .filter((word) => word !== "");
  }

  origin(name: string): string | undefined {
    const value = this.optional(name);
    if (value === undefined) return undefined;
    const allowed = "http:// or https:// with a host, without a path and without a slash at the end";
    let url: URL;
    try {
      url = new URL(value);
    } catch {
      throw refuse(name, value, allowed);
    }
    if (
      !["http:", "https:"].includes(url.protocol) ||
      /\/$/.test(value) ||
      url.pathname !== "/" ||
      url.search !== "" ||
      url.hash !== "" ||
      url.username !== ""
    ) {
      throw refuse(name, url.username === "" ? value : `${url.protocol}//***@${url.host}`, allowed);
    }
    return value;
  }

  /**
   * A secret: masked before anything else can fail.
   * @throws ActionError `secret-too-short` below eight characters, since masking it would spoil every log
   */
  secret(name: string, fromEnv?: string): string | undefined {
    const value = this.raw(name) === "" ? (fromEnv ?? "") : this.raw(name);
    if (value.trim() === "") return undefined;
    mask(value);
    if (value.trim().length < SHORTEST_MASK) {
      throw new ActionError(
        "secret-too-short",
        `${name} has ${value.trim().length} characters; below ${SHORTEST_MASK} a secret cannot be masked without spoiling the log.`,
        "Check that the secret is complete, or use a longer one.",
      );
    }
    return value;
  }
}

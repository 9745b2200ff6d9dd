import { ActionError } from "./errors.ts";
import { mask, SHORTEST_MASK } from "./mask.ts";

/** Linux takes no environment variable above 128 KiB, and inputs are such variables. */
const LARGEST_INPUT = 120 * 1024;

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

  /** Seconds, or a number with `s`, `m`, `h` or `d`; returned in milliseconds. */
  duration(name: string, fallbackMs: number): number {
    const value = this.text(name);
    if (value === "") return fallbackMs;
    const parts = /^(\d{1,6})\s*(s|m|h|d)?$/.exec(value);
    const ms = Number(parts?.[1] ?? 0) * (UNIT_MS[parts?.[2] ?? "s"] ?? 0);
    if (ms === 0) throw refuse(name, value, "seconds, such as 30 or 30s, or a number with m, h or d, such as 2m");
    return ms;
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

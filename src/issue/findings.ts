import { existsSync, readFileSync } from "node:fs";
import { ActionError } from "../runner/errors.ts";

/** A finding as the doctor's output has it. */
export interface IssueFinding {
  readonly check: string;
  readonly level: "error" | "warning" | "notice" | "ok";
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

const LEVELS = ["error", "warning", "notice", "ok"];

function isFinding(value: unknown): value is IssueFinding {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Record<string, unknown>;
  const texts = ["check", "what", "why", "fix"].every((name) => typeof entry[name] === "string");
  return texts && LEVELS.includes(String(entry["level"]));
}

function refuse(why: string, cause?: unknown): ActionError {
  return new ActionError("input-invalid", `findings: ${why}.`, "Pass on the output findings of the doctor as it is.", {
    cause,
  });
}

/**
 * What the doctor's output `findings` holds: JSON, or the path of a file with it where it was too large for an output.
 * Empty text is an empty list.
 * @throws ActionError `input-invalid`
 */
export function readFindings(text: string): readonly IssueFinding[] {
  if (text === "") return [];
  const json = text.startsWith("[") || !existsSync(text) ? text : readFileSync(text, "utf8");
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch (error) {
    throw refuse("this is no JSON", error);
  }
  if (!Array.isArray(list) || !list.every(isFinding)) throw refuse("this is no list of check, level, what, why, fix");
  return list;
}

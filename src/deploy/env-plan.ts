import { createHmac } from "node:crypto";
import { ActionError } from "../runner/errors.ts";
import { escapeMarkdown } from "../runner/summary.ts";

/** What becomes of the variables of a deployment. Every name of both sides is in exactly one list; lists are sorted. */
export interface EnvPlan {
  readonly add: readonly string[];
  readonly change: readonly string[];
  readonly remove: readonly string[];
  /** Equal already. */
  readonly keep: readonly string[];
  /** Not listed, and left alone: pruning is off, or `env-keep` protects them. */
  readonly leave: readonly string[];
}

export interface EnvWish {
  readonly wanted: ReadonlyMap<string, string>;
  readonly present: ReadonlyMap<string, string>;
  readonly prune: boolean;
  /** Names, with `*` for any characters; they protect from pruning. */
  readonly keep: readonly string[];
  /** Names that `env-names` lists but the step lacks (a fork, Dependabot): never pruned. */
  readonly leftOut: readonly string[];
}

/** Whether a name fits a pattern of `env-keep`. */
export function fitsPattern(name: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** @throws ActionError `input-invalid` */
export function checkPatterns(patterns: readonly string[]): void {
  const [odd] = patterns.filter((pattern) => !/^[A-Za-z0-9_*]+$/.test(pattern));
  if (odd === undefined) return;
  throw new ActionError(
    "input-invalid",
    `env-keep: ${JSON.stringify(odd)} is not accepted.`,
    "Allowed: names of variables, with * for any characters.",
  );
}

/** Compares what is wanted with what is there. Pure; nothing depends on the order of either. */
export function planEnvironment(wish: EnvWish): EnvPlan {
  const { wanted, present } = wish;
  const kept = (name: string): boolean =>
    !wish.prune || wish.leftOut.includes(name) || wish.keep.some((pattern) => fitsPattern(name, pattern));
  const wantedNames = [...wanted.keys()].sort();
  const others = [...present.keys()].filter((name) => !wanted.has(name)).sort();
  return {
    add: wantedNames.filter((name) => !present.has(name)),
    change: wantedNames.filter((name) => present.has(name) && present.get(name) !== wanted.get(name)),
    keep: wantedNames.filter((name) => present.get(name) === wanted.get(name)),
    remove: others.filter((name) => !kept(name)),
    leave: others.filter(kept),
  };
}

/**
 * Refuses to remove what the code still reads.
 * @throws ActionError `env-prune-read`
 */
export function checkPruned(
  plan: EnvPlan,
  reads: readonly { readonly name: string; readonly file: string; readonly line: number }[],
): void {
  const read = reads.filter(({ name }) => plan.remove.includes(name));
  if (read.length === 0) return;
  const places = read.map(({ name, file, line }) => `${name} (${file}:${line})`);
  throw new ActionError(
    "env-prune-read",
    `env-prune would remove variables that the code reads: ${[...new Set(places)].join(", ")}. Nothing was changed.`,
    "List them in env or env-file, or protect them with env-keep.",
  );
}

/**
 * Eight hex digits that show whether two values are equal without telling anything about them to who lacks the key:
 * HMAC-SHA256 over name and value, keyed by the admin key.
 */
export function fingerprint(adminKey: string, name: string, value: string): string {
  return createHmac("sha256", adminKey).update(`${name}\0${value}`).digest("hex").slice(0, 8);
}

/** The plan for the log, a line a variable that changes: names and fingerprints, never values. */
export function envLines(plan: EnvPlan, wish: EnvWish, adminKey: string): string[] {
  const print = (values: ReadonlyMap<string, string>, name: string): string =>
    fingerprint(adminKey, name, values.get(name) ?? "");
  return [
    ...plan.add.map((name) => `add     ${name} (${print(wish.wanted, name)})`),
    ...plan.change.map((name) => `change  ${name} (${print(wish.present, name)} → ${print(wish.wanted, name)})`),
    ...plan.remove.map((name) => `remove  ${name} (${print(wish.present, name)})`),
    `${plan.keep.length} unchanged, ${plan.leave.length} not listed and left alone`,
  ];
}

/** The plan as a Markdown table: names and fingerprints, never values. Unchanged ones are counted, not listed. */
export function envTable(plan: EnvPlan, wish: EnvWish, adminKey: string): string {
  const before = (name: string): string => {
    const value = wish.present.get(name);
    return value === undefined ? "" : `\`${fingerprint(adminKey, name, value)}\``;
  };
  const after = (name: string): string => {
    const value = wish.wanted.get(name);
    return value === undefined ? "" : `\`${fingerprint(adminKey, name, value)}\``;
  };
  const row = (what: string, name: string): string =>
    `| ${what} | ${escapeMarkdown(name)} | ${before(name)} | ${what === "remove" ? "" : after(name)} |`;
  const rows = [
    ...plan.add.map((name) => row("add", name)),
    ...plan.change.map((name) => row("change", name)),
    ...plan.remove.map((name) => row("remove", name)),
  ];
  const rest = `${plan.keep.length} unchanged, ${plan.leave.length} not listed and left alone.`;
  if (rows.length === 0) return `No variable changes: ${rest}`;
  return ["| | Variable | Fingerprint before | after |", "|---|---|---|---|", ...rows, "", rest].join("\n");
}

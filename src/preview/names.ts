import { createHash } from "node:crypto";
import { ActionError } from "../runner/errors.ts";

/** DNS allows 63 characters between two dots, and 253 in all. */
const LONGEST_LABEL = 63;
const LONGEST_HOST = 253;
/** Short enough that names of containers and volumes made from it stay readable. */
const LONGEST_NAME = 40;
const SITE = "-site";
const HASHED = /(^|-)[0-9a-f]{10}$/;

const PLACEHOLDERS = ["name", "number", "owner", "repo", "branch"] as const;
type Placeholder = (typeof PLACEHOLDERS)[number];

const ALLOWED =
  "a host name with {name} or {number} in it, and {owner}, {repo}, {branch} where wanted, such as {name}.preview.example.com, without https://, port, path and *";

/** Whose origins are made. */
export interface NameFacts {
  /** As `previewName` made it. */
  readonly name: string;
  readonly number?: number;
  /** `owner/name`. */
  readonly repository: string;
  readonly branch: string;
}

export interface Origins {
  readonly cloud: string;
  readonly site: string;
}

type Part = { readonly literal: string } | { readonly placeholder: Placeholder };
/** The labels of a host name, each a row of parts. */
export type Template = readonly (readonly Part[])[];

function hashOf(...texts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 10);
}

function cut(text: string, most: number): string {
  return text.slice(0, most).replace(/-+$/, "");
}

/** Ends in a hash of `key`, and is at most `most` characters long. */
function withHash(text: string, key: readonly string[], most: number): string {
  const start = cut(text, most - 11);
  return `${start}${start === "" ? "" : "-"}${hashOf(...key)}`;
}

/**
 * Letters, digits and single hyphens that mean this text and no other: wherever anything had to be changed or cut, a
 * hash of the whole text stands at the end, and what looks like such a hash already gets one as well.
 */
function dnsSafe(text: string, reserved: RegExp): string {
  const safe = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const fits =
    safe !== "" && safe === text && safe.length <= LONGEST_NAME && !HASHED.test(safe) && !reserved.test(safe);
  return fits ? safe : withHash(safe, [text], LONGEST_NAME);
}

/** `pr-12` belongs to pull request 12, `…-site` to the HTTP actions of another preview, and `pr` would be read as the start of the former. */
const RESERVED_NAMES = /^pr(-\d+)?$|(^|-)site$/;
const NOTHING_RESERVED = /^(?!)/;

/** The name of a pull request's preview. */
export function pullRequestName(number: number): string {
  return `pr-${number}`;
}

/** The number in a name that `pullRequestName` made. */
export function numberIn(name: string): number | undefined {
  const digits = /^pr-([1-9]\d{0,9})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The name of a preview that is called by a branch or by the user: itself where DNS allows it, else with a hash. */
export function previewName(text: string): string {
  return dnsSafe(text, RESERVED_NAMES);
}

function refuse(input: string, value: string, why: string): ActionError {
  return new ActionError(
    "input-invalid",
    `${input}: ${JSON.stringify(value)} is not accepted: ${why}.`,
    `Allowed: ${ALLOWED}.`,
  );
}

function partsOf(input: string, value: string, label: string): Part[] {
  const parts: Part[] = [];
  for (const [text, placeholder] of label.matchAll(/\{([^{}]*)\}|[^{}]+|[{}]/g)) {
    if (placeholder === undefined) {
      if (!/^[a-z0-9-]+$/.test(text)) throw refuse(input, value, `${JSON.stringify(text)} cannot be in a host name`);
      parts.push({ literal: text });
      continue;
    }
    const known = PLACEHOLDERS.find((one) => one === placeholder);
    if (known === undefined) throw refuse(input, value, `{${placeholder}} is not known`);
    parts.push({ placeholder: known });
  }
  return parts;
}

/**
 * Reads `domain` or `site-domain`.
 * @throws ActionError `input-invalid` with what is wrong and what is allowed
 */
export function parseTemplate(input: string, value: string): Template {
  // Placeholders are names, not part of the host: only the rest may be written in capitals.
  const labels = value
    .replace(/\{[^{}]*\}|[^{}]+/g, (text) => (text.startsWith("{") ? text : text.toLowerCase()))
    .split(".");
  if (value.includes("://")) throw refuse(input, value, "it is a URL");
  if (labels.length < 2) throw refuse(input, value, "it has no dot");
  const template = labels.map((label) => partsOf(input, value, label));
  for (const [index, parts] of template.entries()) {
    const [first, last] = [parts.at(0), parts.at(-1)];
    if (first === undefined || last === undefined) throw refuse(input, value, "there is nothing between two dots");
    if (("literal" in first && first.literal.startsWith("-")) || ("literal" in last && last.literal.endsWith("-"))) {
      throw refuse(input, value, "a hyphen stands next to a dot or an end");
    }
    const literal = parts.map((part) => ("literal" in part ? part.literal : "")).join("");
    if (literal.length > LONGEST_LABEL - SITE.length - 11) {
      throw refuse(
        input,
        value,
        `${JSON.stringify(labels[index])} leaves no room: DNS allows ${LONGEST_LABEL} characters between dots`,
      );
    }
  }
  const top = template.at(-1) ?? [];
  if (top.some((part) => "placeholder" in part || /^\d+$/.test(part.literal))) {
    throw refuse(input, value, "it must end in a domain, not in a placeholder or a number");
  }
  if (!has(template, "name") && !has(template, "number")) {
    throw refuse(
      input,
      value,
      "without {name} and {number} all previews would have one name (a branch is in several pull requests)",
    );
  }
  return template;
}

function has(template: Template, placeholder: Placeholder): boolean {
  return template.flat().some((part) => "placeholder" in part && part.placeholder === placeholder);
}

function literalOf(parts: readonly Part[]): string | undefined {
  return parts.every((part) => "literal" in part)
    ? parts.map((part) => ("literal" in part ? part.literal : "")).join("")
    : undefined;
}

/** Some label is fixed in both and another in each, or their number differs: then no host fits both. */
function apart(one: Template, other: Template): boolean {
  if (one.length !== other.length) return true;
  return one.some((parts, index) => {
    const [left, right] = [literalOf(parts), literalOf(other[index] ?? [])];
    return left !== undefined && right !== undefined && left !== right;
  });
}

/**
 * Refuses two templates by which the API of one preview and the HTTP actions of another could get one name.
 * @throws ActionError `input-invalid`
 */
export function checkApart(domain: Template, siteDomain: Template, value: string): void {
  if (apart(domain, siteDomain)) return;
  throw new ActionError(
    "input-invalid",
    `site-domain: ${JSON.stringify(value)} is not accepted: the API of one preview and the HTTP actions of another could get the same name.`,
    "Put them below different domains, such as {name}.preview.example.com and {name}.site.example.com, or leave site-domain out: it is then the name with -site after it.",
  );
}

function valueFor(placeholder: Placeholder, facts: NameFacts): string {
  // GitHub takes owners and repositories in any case for the same ones.
  const [owner = "", repo = ""] = facts.repository.toLowerCase().split("/");
  switch (placeholder) {
    case "name":
      return facts.name;
    case "number":
      if (facts.number === undefined) {
        throw new ActionError(
          "input-invalid",
          "domain has {number}, and this preview belongs to no pull request.",
          "Use {name} instead: it is pr-<number> for pull requests, and the branch for branches.",
        );
      }
      return String(facts.number);
    case "owner":
      return dnsSafe(owner, NOTHING_RESERVED);
    case "repo":
      return dnsSafe(repo, NOTHING_RESERVED);
    case "branch":
      return dnsSafe(facts.branch, NOTHING_RESERVED);
  }
}

/** Ends at its first hyphen, or after the digits of `pr-12`: what follows it cannot be taken for a part of it. */
function endsByItself(value: string): boolean {
  return /^[a-z0-9]+$/.test(value) ? value !== "pr" : /^pr-\d+$/.test(value);
}

/** Whether the values can be read back from the label, so that no other values make the same. */
function readable(parts: readonly Part[], values: readonly string[]): boolean {
  const places = parts.flatMap((part, index) => ("placeholder" in part ? [index] : []));
  return places.slice(0, -1).every((index) => {
    const next = parts[index + 1];
    return next !== undefined && "literal" in next && next.literal.startsWith("-") && endsByItself(values[index] ?? "");
  });
}

function labelOf(parts: readonly Part[], facts: NameFacts, siteAfter: Placeholder | undefined): string {
  const values = parts.map((part) => ("literal" in part ? part.literal : valueFor(part.placeholder, facts)));
  const at = parts.findIndex((part) => "placeholder" in part && part.placeholder === siteAfter);
  const text = values.map((value, index) => (index === at ? `${value}${SITE}` : value)).join("");
  const several = parts.filter((part) => "placeholder" in part).length > 1;
  const plain = values.join("");
  // Both labels of a preview are treated alike, so the longer one decides.
  const sure =
    readable(parts, values) &&
    plain.length + SITE.length <= LONGEST_LABEL &&
    !(several && (HASHED.test(plain) || /-site(-|$)/.test(plain)));
  return sure ? text : withHash(text, [at < 0 ? "cloud" : "site", ...values], LONGEST_LABEL);
}

function hostOf(template: Template, facts: NameFacts, siteAfter?: Placeholder): string {
  let site = siteAfter;
  const labels = template.map((parts) => {
    if (literalOf(parts) !== undefined) return literalOf(parts) ?? "";
    const holds = parts.some((part) => "placeholder" in part && part.placeholder === site);
    const label = labelOf(parts, facts, holds ? site : undefined);
    if (holds) site = undefined;
    return label;
  });
  const host = labels.join(".");
  if (host.length <= LONGEST_HOST) return host;
  throw new ActionError(
    "input-invalid",
    `domain makes a name of ${host.length} characters (${host.slice(0, 60)}…); DNS allows ${LONGEST_HOST}.`,
    "Use a shorter domain, or fewer placeholders.",
  );
}

/** The two HTTPS origins of a preview: the same for the same preview, and no other preview's. */
export function originsOf(domain: Template, siteDomain: Template | undefined, facts: NameFacts): Origins {
  const cloud = hostOf(domain, facts);
  const site =
    siteDomain === undefined
      ? hostOf(domain, facts, has(domain, "name") ? "name" : "number")
      : hostOf(siteDomain, facts);
  return { cloud: `https://${cloud}`, site: `https://${site}` };
}

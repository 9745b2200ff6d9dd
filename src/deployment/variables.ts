import { ActionError } from "../runner/errors.ts";
import type { BackendError } from "./backend-error.ts";
import { CLI_MANAGED, parseVariables } from "./env-text.ts";

export { parseVariables };

export interface VariableSources {
  /** In order; a later one wins. */
  readonly envFiles: readonly { readonly path: string; readonly text: string }[];
  readonly env?: string;
  /** As `env`; its values are secrets. */
  readonly envSecrets?: string;
  /** Names of variables of the step's own `env:`. */
  readonly envNames: readonly string[];
  readonly stepEnv: Readonly<Record<string, string | undefined>>;
  /** What `authVariables` returned. */
  readonly auth?: Readonly<Record<string, string>>;
  /** Names that `auth.config` reads. */
  readonly authReads?: readonly { readonly name: string }[];
}

export interface VariablePlan {
  readonly values: ReadonlyMap<string, string>;
  /** Where each value is from: `env`, `env-secrets`, `env-names`, `auth`, `env-file <path>`. */
  readonly sources: ReadonlyMap<string, string>;
  /** Values to mask before anything is printed. */
  readonly masks: readonly string[];
  readonly notices: readonly string[];
  /** Names of `env-names` that the step has not or has empty. */
  readonly leftOut: readonly string[];
}

const SHORTEST_MASK = 8;

/**
 * What is to be pushed: env-file < env < env-secrets < env-names < auth keys. Throws one error that names all variables that no
 * release would take (contract 4.1), or that `env-names` promises to the auth config and the step lacks.
 */
export function planVariables(from: VariableSources): VariablePlan {
  const values = new Map<string, string>();
  const sources = new Map<string, string>();
  const notices: string[] = [];
  const take = (source: string, pairs: Iterable<readonly [string, string]>): void => {
    for (const [name, value] of pairs) {
      const before = sources.get(name);
      if (before !== undefined) notices.push(`${name}: the value of ${source} replaces that of ${before}.`);
      values.set(name, value);
      sources.set(name, source);
    }
  };
  const texts = from.envFiles.map(({ path, text }) => ({ source: `env-file ${path}`, text }));
  if (from.env !== undefined) texts.push({ source: "env", text: from.env });
  if (from.envSecrets !== undefined) texts.push({ source: "env-secrets", text: from.envSecrets });
  for (const { source, text } of texts) {
    const parsed = parseVariables(text, source);
    notices.push(...parsed.notices);
    take(source, parsed.variables);
  }
  const named = readNamed(from.envNames, from.stepEnv);
  take("env-names", named.values);
  take("auth", Object.entries(from.auth ?? {}));
  notices.push(...named.notices, ...shortSecrets(values, sources));
  checkVariables(values);
  checkLeftOut(
    named.leftOut.filter((name) => !values.has(name)),
    new Set((from.authReads ?? []).map(({ name }) => name)),
  );
  return { values, sources, masks: masksOf(values, sources), notices, leftOut: named.leftOut };
}

interface Named {
  readonly values: Map<string, string>;
  readonly leftOut: string[];
  readonly notices: string[];
}

function readNamed(names: readonly string[], stepEnv: VariableSources["stepEnv"]): Named {
  const values = new Map<string, string>();
  const leftOut: string[] = [];
  const notices: string[] = [];
  for (const name of names) {
    const value = Object.hasOwn(stepEnv, name) ? stepEnv[name] : undefined;
    if (CLI_MANAGED.has(name)) notices.push(`env-names: ${name} left out: it is for the CLI, not for functions.`);
    else if (value === undefined || value === "") leftOut.push(name);
    else values.set(name, value);
  }
  if (leftOut.length > 0) {
    notices.push(
      `env-names: ${leftOut.join(", ")} left out: empty or unset in this step's env, as secrets are in runs of forks and Dependabot.`,
    );
  }
  return { values, leftOut, notices };
}

/** The inputs whose values are secrets, whatever they look like. */
const SECRET_SOURCES = ["env-secrets", "env-names"];

function shortSecrets(values: ReadonlyMap<string, string>, sources: ReadonlyMap<string, string>): string[] {
  return SECRET_SOURCES.flatMap((source) => {
    const short = [...values].filter(([name, value]) => sources.get(name) === source && value.length < SHORTEST_MASK);
    if (short.length === 0) return [];
    const names = short.map(([name]) => name).join(", ");
    return [`${source}: ${names} pushed unmasked: masking fewer than ${SHORTEST_MASK} characters would spoil the log.`];
  });
}

function masksOf(values: ReadonlyMap<string, string>, sources: ReadonlyMap<string, string>): string[] {
  const secret = ([name, value]: [string, string]): boolean =>
    (SECRET_SOURCES.includes(sources.get(name) ?? "") && value.length >= SHORTEST_MASK) ||
    value.includes("-----BEGIN ");
  return [...values].filter(secret).map(([, value]) => value);
}

function checkLeftOut(leftOut: readonly string[], authReads: ReadonlySet<string>): void {
  const needed = leftOut.filter((name) => authReads.has(name));
  if (needed.length === 0) return;
  throw new ActionError(
    "auth-variable-missing",
    `auth.config reads ${needed.join(", ")}, which env-names passes on but this step has empty or unset, so the backend would refuse the deploy.`,
    "Give it under the step's env:. Runs of forks and Dependabot get no secrets: give them a value that is none, or leave the deploy out there.",
  );
}

const RESERVED = new Set(["CONVEX_CLOUD_URL", "CONVEX_SITE_URL"]);
const MOST_BYTES = 8192;
const LONGEST_NAME = 256;
const MOST_VARIABLES = 1000;

interface Rule {
  readonly code: string;
  readonly hint: string;
  /** What is wrong with a pair, as a sentence; undefined when nothing is. */
  readonly judge: (name: string, value: string) => string | undefined;
}

const number = (value: number): string => value.toLocaleString("en-US");

const RULES: readonly Rule[] = [
  {
    code: "env-name-invalid",
    hint: "Names have letters, digits and _ only, and no digit in front.",
    judge: (name) =>
      /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)
        ? undefined
        : `${JSON.stringify(name.slice(0, 80))} is no name for a variable.`,
  },
  {
    code: "env-name-too-long",
    hint: "Shorten the name.",
    judge: (name) => {
      const bytes = Buffer.byteLength(name);
      return bytes > LONGEST_NAME
        ? `The name ${name.slice(0, 40)}… is ${bytes} bytes; ${LONGEST_NAME} is the most.`
        : undefined;
    },
  },
  {
    code: "env-name-reserved",
    hint: "The backend sets it itself, from its own origins; leave it out.",
    judge: (name) => (RESERVED.has(name) ? `${name} is built in and cannot be set.` : undefined),
  },
  {
    code: "env-value-too-long",
    hint: "Split it, or store it in a table or file storage.",
    judge: (name, value) => {
      const bytes = Buffer.byteLength(value);
      return bytes > MOST_BYTES
        ? `${name} is ${number(bytes)} bytes; the backend takes ${number(MOST_BYTES)} at most.`
        : undefined;
    },
  },
];

/** Throws one error for everything that every release refuses (contract 4.1). */
export function checkVariables(values: ReadonlyMap<string, string>): void {
  const found = RULES.map((rule) => ({
    rule,
    sentences: [...values].flatMap(([name, value]) => rule.judge(name, value) ?? []),
  })).filter(({ sentences }) => sentences.length > 0);
  const first = found[0];
  if (first !== undefined) {
    const message = found.flatMap(({ sentences }) => sentences).join(" ");
    throw new ActionError(first.rule.code, message, found.map(({ rule }) => rule.hint).join(" "));
  }
  if (values.size > MOST_VARIABLES) {
    throw new ActionError(
      "env-too-many",
      `${number(values.size)} variables are to be set; the backend takes ${number(MOST_VARIABLES)} at most.`,
      "Leave out what the functions do not read.",
    );
  }
}

/** The backend's own codes for a variable it refuses (contract 4.1) and the errors of `checkVariables` they amount to. */
const REFUSALS: Readonly<Record<string, { readonly code: string; readonly hint: string }>> = {
  EnvironmentVariableNameInvalid: {
    code: "env-name-invalid",
    hint: "Names have letters, digits and _ only, and no digit in front.",
  },
  EnvironmentVariableNameTooLong: {
    code: "env-name-too-long",
    hint: "Shorten the name: releases before 2026-05-05 take 40 characters.",
  },
  EnvironmentVariableValueTooLarge: {
    code: "env-value-too-long",
    hint: "Split it, or store it in a table or file storage.",
  },
  EnvVarLimitMet: {
    code: "env-too-many",
    hint: "Leave out what the functions do not read: this release takes fewer than 1,000.",
  },
  EnvVarTotalSizeLimitMet: {
    code: "env-too-large",
    hint: "Store large values in a table or file storage: newer releases limit the sum of all.",
  },
  EnvVarNameForbidden: {
    code: "env-name-reserved",
    hint: "The backend sets it itself, from its own origins; leave it out.",
  },
  AuthConfigMissingEnvironmentVariable: {
    code: "auth-variable-missing",
    hint: "Set it by env, env-file or env-names.",
  },
  InvalidAuthConfig: {
    code: "auth-config-invalid",
    hint: "Correct the value: auth.config of the deployed app reads it.",
  },
  RequiredEnvironmentVariable: {
    code: "env-required",
    hint: "Keep it: convex.config.ts of the deployed app requires it.",
  },
  InvalidEnvironmentVariable: {
    code: "env-value-invalid",
    hint: "Correct the value: convex.config.ts of the deployed app says what it must be.",
  },
};

/** Our error for the backend's refusal of an update; other errors come back as they are. */
export function variableRefusal(error: BackendError): ActionError {
  const refusal =
    error.status === 400
      ? Object.hasOwn(REFUSALS, error.backendCode)
        ? REFUSALS[error.backendCode]
        : undefined
      : undefined;
  if (refusal === undefined) return error;
  const text = error.message.slice(error.message.indexOf(`${error.backendCode}: `) + error.backendCode.length + 2);
  return new ActionError(refusal.code, `The backend refused the variables, none was set: ${text}`, refusal.hint, {
    cause: error,
  });
}

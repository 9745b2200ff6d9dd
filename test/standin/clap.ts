/** The parts of clap's behaviour and wording that show on the command line (contract 1.1, boot-flags.json). */

export interface Spec {
  name: string;
  short?: string;
  /** the value's name; absent: a switch */
  value?: string;
  requires?: string;
  /** a flag of the stand-in, not shown in usage lines */
  own?: boolean;
}

/** A usage error: `message` is all of stderr, the exit code is 2. */
export class CommandLineError extends Error {}

const MORE = "For more information, try '--help'.";
const SHORT_USAGE = "Usage: convex-local-backend [OPTIONS] [DB_SPEC]";

export interface Tokens {
  values: Map<string, string>;
  /** names in the order given */
  order: string[];
  positional: string | undefined;
}

/** Splits arguments by the given flags. @throws CommandLineError */
export function parseTokens(argv: readonly string[], specs: readonly Spec[]): Tokens | "help" | "version" {
  const tokens: Tokens = { values: new Map(), order: [], positional: undefined };
  const rest = [...argv];
  for (let raw = rest.shift(), plain = false; raw !== undefined; raw = rest.shift()) {
    if (!plain && raw === "--") {
      plain = true;
      continue;
    }
    if (plain || !raw.startsWith("-") || raw === "-") {
      if (tokens.positional !== undefined) throw unexpected(raw, SHORT_USAGE, false);
      tokens.positional = raw;
      continue;
    }
    if (raw === "--help" || raw === "-h") return "help";
    if (raw === "--version" || raw === "-V") return "version";
    takeFlag(raw, rest, specs, tokens);
  }
  return tokens;
}

function takeFlag(raw: string, rest: string[], specs: readonly Spec[], tokens: Tokens): void {
  const { spec, inline } = match(raw, specs);
  if (spec === undefined) {
    const shown = raw.startsWith("--") ? (raw.split("=")[0] ?? raw) : raw.slice(0, 2);
    throw unexpected(shown, raw.startsWith("--") ? fullUsage(specs) : SHORT_USAGE, true);
  }
  if (tokens.values.has(spec.name)) {
    throw new CommandLineError(
      `error: the argument '${display(spec)}' cannot be used multiple times\n\n${SHORT_USAGE}\n\n${MORE}`,
    );
  }
  tokens.values.set(spec.name, spec.value === undefined ? "" : valueFor(spec, inline, rest));
  tokens.order.push(spec.name);
}

/** The value of a flag: after `=`, or the next argument, which must not look like a flag. */
function valueFor(spec: Spec, inline: string | undefined, rest: string[]): string {
  if (inline !== undefined) return inline;
  const next = rest[0];
  if (next?.startsWith("-") && next !== "-" && !next.startsWith("--"))
    throw unexpected(next.slice(0, 2), SHORT_USAGE, true);
  if (next === undefined || (next.startsWith("--") && next.length > 2)) {
    throw new CommandLineError(`error: a value is required for '${display(spec)}' but none was supplied\n\n${MORE}`);
  }
  rest.shift();
  return next;
}

function match(raw: string, specs: readonly Spec[]): { spec: Spec | undefined; inline: string | undefined } {
  const equals = raw.indexOf("=");
  if (raw.startsWith("--")) {
    const name = raw.slice(2, equals < 0 ? undefined : equals);
    return { spec: specs.find((s) => s.name === name), inline: equals < 0 ? undefined : raw.slice(equals + 1) };
  }
  const attached = raw.slice(2).replace(/^=/, "");
  return { spec: specs.find((s) => s.short === raw[1]), inline: attached === "" ? undefined : attached };
}

function unexpected(argument: string, usage: string, tip: boolean): CommandLineError {
  const advice = tip ? `  tip: to pass '${argument}' as a value, use '-- ${argument}'\n\n` : "";
  return new CommandLineError(`error: unexpected argument '${argument}' found\n\n${advice}${usage}\n\n${MORE}`);
}

/** `--port <PORT>` */
function display(spec: Spec): string {
  return spec.value === undefined ? `--${spec.name}` : `--${spec.name} <${spec.value}>`;
}

function fullUsage(specs: readonly Spec[]): string {
  const all = specs.filter((s) => !s.own).map(display);
  return `Usage: convex-local-backend <DB_SPEC|${all.join("|")}> <--local-storage <LOCAL_STORAGE>|--s3-storage>`;
}

/** The usage line that lists the arguments given, in the order of `names`. */
export function usageOf(names: readonly string[], specs: readonly Spec[], positional: string | undefined): string {
  const shown = names.flatMap((name) => {
    const spec = specs.find((s) => s.name === name);
    return spec === undefined || spec.own ? [] : [display(spec)];
  });
  return `Usage: convex-local-backend ${[...shown, ...(positional === undefined ? [] : ["<DB_SPEC>"])].join(" ")}`;
}

export function invalidValue(
  name: string,
  value: string | undefined,
  text: string,
  reason: string | undefined,
  possible?: readonly string[],
): CommandLineError {
  const flag = value === undefined ? `--${name}` : `--${name} <${value}>`;
  const end = reason === undefined ? "" : `: ${reason}`;
  const list = possible === undefined ? "" : `\n  [possible values: ${possible.join(", ")}]`;
  return new CommandLineError(`error: invalid value '${text}' for '${flag}'${end}${list}\n\n${MORE}`);
}

export function missingValue(names: readonly string[], specs: readonly Spec[], usage: string): CommandLineError {
  const lines = names.flatMap((name) => {
    const spec = specs.find((s) => s.name === name);
    return spec === undefined ? [] : [`  ${display(spec)}`];
  });
  return new CommandLineError(
    `error: the following required arguments were not provided:\n${lines.join("\n")}\n\n${usage}\n\n${MORE}`,
  );
}

/**
 * Plays the command line of a platform: refuses what the real one would not take (a command, an option, a value, a missing
 * token), writes down what it was asked, and answers as the test says. What is taken is in <tool>.json, with its source.
 *
 * RECORDER_LOG: file that gets one JSON line a call; what options name as files is written down with it. RECORDER_ANSWERS: JSON file of `<tool> <command>` → { stdout, exit }, or
 * a list of these, one a call, the last of which stays.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const fits = (form, text) => new RegExp(`^(?:${form})$`, "s").test(text);

/** `["apps", "list", "--json"]` → the spec of `apps list` and what stands behind it. */
function commandOf(commands, args) {
  const end = args.findIndex((arg) => arg.startsWith("-"));
  const words = end === -1 ? args : args.slice(0, end);
  for (let length = words.length; length > 0; length -= 1) {
    const name = words.slice(0, length).join(" ");
    if (commands[name] !== undefined) return { name, spec: commands[name], rest: args.slice(length) };
  }
  throw new Error(`no command of it: ${args.join(" ")}`);
}

/** Options may stand anywhere; a form of null is a switch. */
function parse({ options = {}, operands = [] }, rest) {
  const given = {};
  const words = [];
  for (let at = 0; at < rest.length; at += 1) {
    const arg = rest[at];
    if (!arg.startsWith("--")) {
      words.push(arg);
      continue;
    }
    const [name, ...glued] = arg.split("=");
    const form = options[name];
    if (form === undefined) throw new Error(`no option of it: ${name}`);
    if (form === null) {
      if (glued.length > 0) throw new Error(`${name} takes no value`);
      given[name] = true;
      continue;
    }
    if (glued.length === 0) at += 1;
    const value = glued.length > 0 ? glued.join("=") : rest[at];
    if (value === undefined || !fits(form, value)) throw new Error(`${name} does not take ${value}`);
    given[name] = given[name] === undefined ? value : [given[name], value].flat();
  }
  if (words.length > operands.length || !operands.every((form, at) => fits(form, words[at] ?? ""))) {
    throw new Error(`does not take the operands ${JSON.stringify(words)}`);
  }
  return { options: given, operands: words };
}

/** Contents of the files that a call names. */
function filesIn(options) {
  const paths = Object.values(options).flatMap((value) =>
    typeof value === "string" ? [value.replace(/^file:\/\//, "")] : [],
  );
  return Object.fromEntries(
    paths
      .filter((path) => path.startsWith("/") && path !== "/dev/stdin" && existsSync(path))
      .map((path) => [basename(path), readFileSync(path, "utf8")]),
  );
}

/** Always, or with an option alone: what is not to be read may have no end. */
function readsStdin({ stdin }, options) {
  return stdin !== undefined && (stdin.with === undefined || stdin.with in options);
}

function answerTo(key, before) {
  const file = process.env.RECORDER_ANSWERS;
  const answer = file === undefined ? undefined : JSON.parse(readFileSync(file, "utf8"))[key];
  const list = [answer ?? {}].flat();
  return list[Math.min(before, list.length - 1)];
}

export function play(tool) {
  const { commands, environment = [] } = JSON.parse(readFileSync(join(import.meta.dirname, `${tool}.json`), "utf8"));
  const log = process.env.RECORDER_LOG;
  try {
    if (log === undefined) throw new Error("RECORDER_LOG is not set");
    const { name, spec, rest } = commandOf(commands, process.argv.slice(2));
    const parsed = parse(spec, rest);
    for (const variable of environment)
      if ((process.env[variable] ?? "") === "") throw new Error(`${variable} is empty`);
    const stdin = readsStdin(spec, parsed.options) ? readFileSync(0, "utf8") : "";
    if (readsStdin(spec, parsed.options) && !fits(spec.stdin.form, stdin))
      throw new Error(`${name} does not take that input`);
    const earlier = existsSync(log)
      ? readFileSync(log, "utf8")
          .split("\n")
          .filter((line) => line !== "")
      : [];
    const key = `${tool} ${name}`;
    const before = earlier.filter((line) => JSON.parse(line).command === key).length;
    appendFileSync(log, `${JSON.stringify({ command: key, ...parsed, files: filesIn(parsed.options), stdin })}\n`, {
      mode: 0o600,
    });
    const { stdout = "", stderr = "", exit = 0 } = answerTo(key, before);
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = exit;
  } catch (error) {
    process.stderr.write(`[recorder] ${tool}: ${error.message}\n`);
    process.exitCode = 64;
  }
}

/**
 * Stands for an action of somebody else's: fails on an input that the real one does not have, or a value that it would
 * not take, and prints what it got. What it accepts is in accepts.json: name → pattern; `outputs` are set as they are, and `script` does in small what the real one does.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

const {
  action,
  inputs,
  outputs = {},
  script,
} = JSON.parse(readFileSync(join(import.meta.dirname, "accepts.json"), "utf8"));
const given = Object.entries(process.env).flatMap(([name, value]) =>
  name.startsWith("INPUT_") ? [[name.slice("INPUT_".length).toLowerCase().replaceAll("_", "-"), value]] : [],
);
const accepted = Object.fromEntries(Object.entries(inputs).map(([name, form]) => [name.replaceAll("_", "-"), form]));
let wrong = 0;
for (const [name, value] of given) {
  const form = accepted[name];
  if (form !== undefined && new RegExp(`^(?:${form})$`, "s").test(value)) continue;
  wrong += 1;
  const why = form === undefined ? "is no input of it" : `${JSON.stringify(value)} is not accepted`;
  process.stdout.write(`::error::[double] ${action}: ${name} ${why}\n`);
}
for (const [name, form] of Object.entries(accepted)) {
  if (new RegExp(`^(?:${form})$`, "s").test("") || given.some(([one]) => one === name)) continue;
  wrong += 1;
  process.stdout.write(`::error::[double] ${action}: ${name} is missing\n`);
}
// The runner gives them in any order.
const shown = given.filter(([, value]) => value !== "").sort();
process.stdout.write(`double of ${action}: ${JSON.stringify(Object.fromEntries(shown))}\n`);
for (const [name, value] of Object.entries(outputs)) appendFileSync(process.env.GITHUB_OUTPUT, `${name}=${value}\n`);
process.exitCode = wrong === 0 ? 0 : 1;
if (wrong === 0 && script !== undefined) await import(join(import.meta.dirname, script));

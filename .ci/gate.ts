/**
 * Fails unless every other job of the workflow succeeded: `NEEDS='{"lint": {"result": "success"}}' node gate.ts <file>`.
 * A job that the gate does not wait for is a failure too, or it could break unnoticed.
 */
import { readFileSync } from "node:fs";

const [file = ""] = process.argv.slice(2);
const [, text = ""] = readFileSync(file, "utf8").split(/^jobs:\n/m);
const jobs = [...text.matchAll(/^ {2}([a-z0-9-]+):$/gm)].flatMap(([, job = ""]) => (job === "gate" ? [] : [job]));
const needs = JSON.parse(process.env["NEEDS"] ?? "{}") as Record<string, { result: string }>;
const wrong = jobs.flatMap((job) => {
  const result = needs[job]?.result ?? "not among the gate's needs";
  return result === "success" ? [] : [`${job}: ${result}`];
});
if (jobs.length === 0) wrong.push(`${file}: no jobs found`);
process.stdout.write(wrong.length === 0 ? `${jobs.join(", ")}: success\n` : `${wrong.join("\n")}\n`);
process.exitCode = wrong.length === 0 ? 0 : 1;

import { randomUUID } from "node:crypto";
import { debug, endGroup, info, notice, startGroup, warning } from "@actions/core";
import type { Log } from "../system/deps.ts";
import { mask, redactKnown } from "./mask.ts";

/** The runner shows at most ten annotations of a level a step; the rest is printed as plain lines. */
const MOST_ANNOTATIONS = 10;

const counts = { notice: 0, warning: 0 };
let grouped = false;

function annotate(level: "notice" | "warning", message: string): void {
  counts[level] += 1;
  if (counts[level] > MOST_ANNOTATIONS) info(`${level}: ${message}`);
  else if (level === "notice") notice(message);
  else warning(message);
}

/** The job's log. */
export const jobLog: Log = {
  debug,
  info,
  notice: (message) => annotate("notice", message),
  warning: (message) => annotate("warning", message),
  async group(title, work) {
    // Groups do not nest: the inner one of two is a line of the outer one.
    if (grouped) {
      info(title);
      return await work();
    }
    grouped = true;
    startGroup(title);
    try {
      return await work();
    } finally {
      endGroup();
      grouped = false;
    }
  },
  foreign(lines) {
    if (lines.length === 0) return;
    // The runner obeys no `::command::` until the same random word comes again.
    const word = randomUUID();
    process.stdout.write(`::stop-commands::${word}\n${lines.map(redactKnown).join("\n")}\n::${word}::\n`);
  },
  mask,
};

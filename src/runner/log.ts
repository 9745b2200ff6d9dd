import { randomUUID } from "node:crypto";
import { debug, endGroup, info, notice, startGroup, warning } from "@actions/core";
import type { Log } from "../system/deps.ts";
import { mask, redactKnown } from "./mask.ts";

/** The runner shows at most ten annotations of a level a step; the rest is printed as plain lines. */
const MOST_ANNOTATIONS = 10;

const counts = { notice: 0, warning: 0 };
let grouped = false;

// Lines that come one by one would each need a pair of markers: what comes within a moment is printed in one go.
const TOGETHER_MS = 50;
let waiting: string[] = [];
let timer: NodeJS.Timeout | undefined;
process.once("exit", flushForeign);

/** Prints what `foreign` still holds back; everything that prints by another way calls it first, to keep the order. */
export function flushForeign(): void {
  clearTimeout(timer);
  timer = undefined;
  if (waiting.length === 0) return;
  // The runner obeys no `::command::` until the same random word comes again.
  const word = randomUUID();
  process.stdout.write(`::stop-commands::${word}\n${waiting.map(redactKnown).join("\n")}\n::${word}::\n`);
  waiting = [];
}

function annotate(level: "notice" | "warning", message: string): void {
  flushForeign();
  counts[level] += 1;
  if (counts[level] > MOST_ANNOTATIONS) info(harmless(`${level}: ${message}`));
  else if (level === "notice") notice(message);
  else warning(message);
}

/**
 * A message of ours may quote what somebody else said (a backend's answer in a finding), line breaks and all: no line of
 * it may be taken for a workflow command. Commands of the old form count wherever they stand in a line.
 */
export function harmless(message: string): string {
  return message
    .replaceAll("\r", "\n")
    .replace(/^(\s*):(?=:)/gm, "$1: ")
    .replaceAll("##[", "# #[");
}

/** The job's log. */
export const jobLog: Log = {
  debug(message) {
    flushForeign();
    debug(message);
  },
  info(message) {
    flushForeign();
    info(harmless(message));
  },
  notice: (message) => annotate("notice", message),
  warning: (message) => annotate("warning", message),
  async group(title, work) {
    // Groups do not nest: the inner one of two is a line of the outer one.
    if (grouped) {
      jobLog.info(title);
      return await work();
    }
    grouped = true;
    flushForeign();
    startGroup(title);
    try {
      return await work();
    } finally {
      flushForeign();
      endGroup();
      grouped = false;
    }
  },
  foreign(lines) {
    waiting.push(...lines);
    timer ??= setTimeout(flushForeign, TOGETHER_MS);
  },
  mask,
};

/** What the CLI's output tells about where a deploy stopped (contract 5.3). Its text only classifies: the exit code decides. */
export type PushPhase = "setup" | "bundle" | "evaluate" | "start" | "typecheck" | "schema" | "finish";

const SGR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

/** Colours appear in spite of NO_COLOR in the excerpts of tsc (contract 5.3). */
export function withoutColours(text: string): string {
  return text.replace(SGR, "");
}

const STARTED: readonly (readonly [string, PushPhase])[] = [
  ["Finalizing push...", "finish"],
  ["Pushing code to your Convex deployment...", "schema"],
  ["Running TypeScript...", "typecheck"],
  ["Uploading functions to Convex...", "start"],
  ["- Deploying to ", "evaluate"],
];

/** The last phase that the output announces; bundling and the first calls are announced by one line. */
export function phaseOf(output: string): PushPhase {
  if (/^✖ Error: Unable to finish push/m.test(output)) return "finish";
  if (/^✘ \[ERROR\]/m.test(output)) return "bundle";
  return STARTED.find(([line]) => output.includes(`\n${line}`) || output.startsWith(line))?.[1] ?? "setup";
}

/** A call of the CLI that was answered with an error: `✖ Error fetching POST  <url> 400 Bad Request: Code: message`. */
export interface FailedCall {
  /** Last part of the path: `evaluate_push`. */
  readonly endpoint: string;
  readonly status: number;
  /** Empty where the answer was not the backend's. */
  readonly code: string;
  /** Without `Hit an error while pushing:` and the like. */
  readonly message: string;
  /** The error stands behind `Hit an error while evaluating your schema:`. */
  readonly inSchema: boolean;
}

export function failedCallOf(output: string): FailedCall | undefined {
  const match = /^✖ Error fetching (?:[A-Z]+)?\s+(\S+) (\d{3})([^:\n]*)(?:: ([\s\S]*))?$/m.exec(output);
  if (match === null) return undefined;
  const [, url = "", status = "", , rest = ""] = match;
  const coded = /^([A-Za-z]\w*): ([\s\S]*)$/.exec(rest);
  const text = (coded?.[2] ?? "").replace(/\nAuthenticate with `npx convex dev`\s*$/, "");
  return {
    endpoint: url.slice(url.lastIndexOf("/") + 1),
    status: Number(status),
    code: coded?.[1] ?? "",
    message: withoutPreambles(text),
    inSchema: text.includes("Hit an error while evaluating your schema:"),
  };
}

function withoutPreambles(text: string): string {
  return text
    .replace(/^Hit an error while pushing:\s*/, "")
    .replace(/^Hit an error while evaluating your schema:\s*/, "")
    .replace(/^Loading the pushed modules encountered the following\s+error:\s*/, "")
    .trim();
}

/** The first `✖` line and what follows it, for failures that nothing else knows. */
export function lastWords(output: string): string {
  const at = output.search(/^(✖|Error: )/m);
  const words = at === -1 ? output.trimEnd().split("\n").slice(-3).join(" ") : output.slice(at);
  const line = words.replace(/^✖ /gm, "").replace(/\s+/g, " ").trim();
  return line.length > 500 ? `${line.slice(0, 500)}…` : line;
}

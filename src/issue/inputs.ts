import { ActionError } from "../runner/errors.ts";
import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { type IssueFinding, readFindings } from "./findings.ts";

/** The inputs of the issue action, each read and checked by itself. */
export interface IssueInputs {
  /** One issue for each. */
  readonly key: string;
  readonly outcome: "success" | "failure" | "cancelled" | "skipped";
  readonly title: string;
  readonly details: string;
  readonly findings: readonly IssueFinding[];
  readonly labels: readonly string[];
  readonly githubToken: string | undefined;
}

function required(inputs: Inputs, name: string, hint: string): string {
  const value = inputs.optional(name);
  if (value !== undefined) return value;
  throw new ActionError("input-missing", `${name} is not set.`, hint);
}

/** @throws ActionError `input-missing`, `input-invalid`, `input-too-large`, `secret-too-short` */
export function readIssueInputs(read: ReadInput): IssueInputs {
  const inputs = new Inputs(read);
  const githubToken = inputs.secret("github-token")?.trim();
  return {
    githubToken,
    key: required(inputs, "key", "Name what the issue is about; there is one open issue for each name."),
    outcome: inputs.choice("outcome", ["success", "failure", "cancelled", "skipped"], "failure"),
    title: required(inputs, "title", "Give the issue's title."),
    details: inputs.text("details"),
    findings: readFindings(inputs.text("findings")),
    labels: inputs.lines("labels"),
  };
}

import { Inputs, type ReadInput } from "../runner/inputs.ts";

export interface ProjectInputs {
  readonly workingDirectory: string;
}

/** @throws ActionError `input-too-large` */
export function readProjectInputs(read: ReadInput): ProjectInputs {
  return { workingDirectory: new Inputs(read).optional("working-directory") ?? "." };
}

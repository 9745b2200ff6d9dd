import { Inputs, type ReadInput } from "../runner/inputs.ts";
import { type Destination, readDestination, readS3Inputs, type S3Inputs } from "../store/destination.ts";

/** The inputs of the find-backup action, each read and checked by itself. */
export interface FindBackupInputs extends S3Inputs {
  readonly source: Destination;
  /** `latest`, or the id of one backup. */
  readonly backupId: string;
  readonly githubToken: string | undefined;
}

/** @throws ActionError `input-missing`, `input-invalid`, `input-too-large`, `secret-too-short` */
export function readFindBackupInputs(read: ReadInput, workspace: string): FindBackupInputs {
  const inputs = new Inputs(read);
  const githubToken = inputs.secret("github-token")?.trim();
  return {
    githubToken,
    source: readDestination(inputs, "source", workspace),
    backupId: inputs.optional("backup-id") ?? "latest",
    ...readS3Inputs(inputs),
  };
}

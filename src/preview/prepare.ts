import { resolve } from "node:path";
import { type ImageChoice, resolveImage } from "../backend/catalogue.ts";
import { adminKeySecrets, issueAdminKey, type KeyFormat } from "../credentials/admin-key.ts";
import { type PushFile, readPushFile } from "../deployment/push-file.ts";
import { ActionError } from "../runner/errors.ts";
import { type Deployable, prepareDeployable } from "../start/deployable.ts";
import { readBackendEnv } from "../start/prepare.ts";
import type { Deps } from "../system/deps.ts";
import { deriveInstanceSecret, secretOf } from "./credentials.ts";
import { databaseOf, type PreviewDatabase } from "./database.ts";
import type { PreviewInputs } from "./inputs.ts";
import type { PreviewPlan } from "./plan-types.ts";

export type UpPlan = Extract<PreviewPlan, { action: "up" }>;

/** All that can be known and checked of an `up` before anything is called. */
export interface PreparedUp {
  readonly plan: UpPlan;
  readonly inputs: PreviewInputs;
  readonly repository: string;
  readonly deployable: Deployable;
  readonly image: ImageChoice;
  readonly instanceName: string;
  readonly instanceSecret: string;
  readonly backendEnv: Readonly<Record<string, string>>;
  readonly database?: PreviewDatabase;
  /** What is sent instead of bundling the project. */
  readonly pushFile?: PushFile;
  /** A key of the preview's own; masked. */
  key(format: KeyFormat): string;
}

/** A stranger's code gets what `fork-env` names; nothing that is secret, nothing of the repository's data. */
function contentOf(inputs: PreviewInputs, { fork }: UpPlan): PreviewInputs {
  if (!fork) return inputs;
  return {
    ...inputs,
    env: inputs.forkEnv,
    envSecrets: "",
    envFiles: [],
    envNames: [],
    envKeep: [],
    jwtPrivateKey: undefined,
    // Its backend knows the URL, so its code could find it.
    postgresUrl: undefined,
    imports: [],
    run: [],
    exportEnv: false,
  };
}

/** @throws ActionError `input-conflict`, `input-missing` */
function checkFork({ pushFile }: PreviewInputs, backendEnv: PreparedUp["backendEnv"]): void {
  if (Object.keys(backendEnv).length > 0) {
    throw new ActionError(
      "input-conflict",
      "backend-env is set, but this preview is a fork's, whose code could read what it holds.",
      "Leave backend-env out in the workflow for forks; fork-env is what their functions get.",
    );
  }
  if (pushFile === undefined) {
    throw new ActionError(
      "input-missing",
      "push-file is not set, and this preview is a fork's, whose code is never bundled where secrets are.",
      "Set push-file to what command: bundle recorded in the run without secrets (docs/previews-forks.md).",
    );
  }
}

/**
 * Reads files, finds the project, resolves the image, derives the credentials.
 * @throws ActionError for every bad input; nothing was called then
 */
export async function prepareUp(
  given: PreviewInputs,
  plan: UpPlan,
  repository: string,
  deps: Deps,
): Promise<PreparedUp> {
  const inputs = contentOf(given, plan);
  const { version, image, requireDigest } = inputs;
  const choice = resolveImage({ version, image, requireDigest });
  for (const warning of choice.warnings) deps.log.warning(warning);
  const secret = secretOf(inputs);
  if (secret === undefined) throw new Error("checkNeeds lets no preview up without a secret");
  const instanceSecret = deriveInstanceSecret(secret, { repository, name: plan.name });
  deps.log.mask(instanceSecret);
  const backendEnv = readBackendEnv(inputs.backendEnv);
  if (plan.fork) checkFork(inputs, backendEnv);
  const workspace = deps.env["GITHUB_WORKSPACE"] ?? process.cwd();
  // Seeding may be repeated after an interruption, so a table's file replaces what a first try left.
  const recorded = inputs.pushFile === undefined ? undefined : await readPushFile(resolve(workspace, inputs.pushFile));
  const content = recorded === undefined ? inputs : { ...inputs, deploy: false };
  const deployable = await prepareDeployable(content, { workspace, fresh: false, tableMode: "replace" }, deps);
  const { name: instanceName } = plan;
  const { postgresUrl } = inputs;
  const database =
    postgresUrl === undefined ? undefined : databaseOf(postgresUrl, { repository, name: plan.name }, backendEnv, deps);
  return {
    plan,
    inputs,
    repository,
    deployable,
    image: choice,
    ...(database === undefined ? {} : { database }),
    ...(recorded === undefined ? {} : { pushFile: recorded }),
    instanceName,
    instanceSecret,
    backendEnv,
    key: (format) => {
      const key = issueAdminKey({ instanceName, instanceSecret, format });
      for (const secret of adminKeySecrets(key)) deps.log.mask(secret);
      return key;
    },
  };
}

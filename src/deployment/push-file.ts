import { readFile, stat, writeFile } from "node:fs/promises";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { asRecord } from "./json.ts";
import type { Project } from "./project.ts";
import { push } from "./push.ts";
import { jsonAnswer, type RelayedAnswer, type RelayedCall, refusal, startRelay } from "./relay.ts";

/** The backend takes no larger body (contract 5.2). */
const LARGEST = 200 * 1024 * 1024;
const FORMAT = 1;
const ENDS_HERE = "Recorded: ends here, nothing is deployed.";

/**
 * A push as the CLI would send it, without a key: what code there is and how it is bundled, nothing else. Who bundled it
 * may have put anything in it, so it is only ever handed on to a backend, and nothing of it is run or written here.
 */
export interface PushFile {
  readonly format: typeof FORMAT;
  readonly cliVersion: string;
  /** The fields of `start_push` but for the key (contract 5.2). */
  readonly push: {
    readonly functions: string;
    readonly appDefinition: Readonly<Record<string, unknown>>;
    readonly componentDefinitions: readonly unknown[];
    readonly nodeDependencies: readonly unknown[];
    readonly nodeVersion?: string;
  };
}

/**
 * Lets the project's CLI bundle and push to nobody, and keeps what it would have sent: needs no backend and no secret.
 * Types are not checked, since the CLI does that only with a backend's answer.
 * @throws PushError when the code cannot be bundled; ActionError `push-file-unrecorded`
 */
export async function recordPush(deps: Deps, project: Project, repositoryRoot: string): Promise<PushFile> {
  let recorded: unknown;
  await using relay = await startRelay({
    // Nobody listens there: every call that matters is answered here.
    target: "http://127.0.0.1:9",
    answer: async (call) => {
      const { body, answer } = answerTo(call);
      recorded = body ?? recorded;
      return answer;
    },
  });
  try {
    await push(deps, {
      project,
      url: relay.url,
      adminKey: "nobody|00000000",
      typecheck: "disable",
      codegen: "disable",
      repositoryRoot,
    });
  } catch (error) {
    if (recorded === undefined) throw error;
    deps.log.info("The failed call above is how the recording ends the CLI.");
  }
  if (recorded !== undefined) return fileOf(recorded, project.cli.version, "the recorded push");
  throw new ActionError(
    "push-file-unrecorded",
    `convex ${project.cli.version} pushes in the way of 1.27 and before, which cannot be recorded.`,
    "Update convex to 1.32 or newer.",
  );
}

function answerTo(call: RelayedCall): { readonly answer: RelayedAnswer; readonly body?: unknown } {
  switch (call.endpoint) {
    case "get_config_hashes":
      // With nothing to compare with the CLI sends every module.
      return {
        answer: jsonAnswer({
          config: { functions: "convex/" },
          moduleHashes: [],
          udfServerVersion: null,
          nodeVersion: null,
        }),
      };
    case "evaluate_push":
    case "start_push": {
      const body = call.json();
      // The first question is whether the route is there, with an empty push and no key.
      if (asRecord(body)["adminKey"] === "") {
        return { answer: jsonAnswer({ code: "BadAdminKey", message: ENDS_HERE }, 401) };
      }
      return { answer: refusal("Recorded", ENDS_HERE), body };
    }
    case "evaluate_schema":
      return { answer: { status: 404, headers: {}, body: Buffer.alloc(0), json: () => undefined } };
    default:
      return { answer: refusal("Recorded", ENDS_HERE) };
  }
}

function invalid(where: string, why: string): ActionError {
  return new ActionError(
    "push-file-invalid",
    `${where} is no push that command: bundle has recorded: ${why}.`,
    "Record it again, and hand it on as one file, unchanged.",
  );
}

/** Takes the known fields and drops all others; what is in them the backend judges. */
function fileOf(value: unknown, cliVersion: string, where: string): PushFile {
  const { functions, appDefinition, componentDefinitions, nodeDependencies, nodeVersion } = asRecord(value);
  const app = asRecord(appDefinition);
  if (typeof functions !== "string") throw invalid(where, "functions is missing");
  if (!Array.isArray(app["changedModules"])) {
    throw invalid(where, "its modules are missing, as with convex before 1.32");
  }
  const unchanged = app["unchangedModuleHashes"];
  if (!Array.isArray(unchanged) || unchanged.length > 0) throw invalid(where, "it does not hold all modules");
  if (!Array.isArray(componentDefinitions) || !Array.isArray(nodeDependencies)) {
    throw invalid(where, "components or dependencies are missing");
  }
  const { definition, dependencies, schema, changedModules, udfServerVersion } = app;
  return {
    format: FORMAT,
    cliVersion,
    push: {
      functions,
      appDefinition: {
        definition: definition ?? null,
        dependencies: dependencies ?? [],
        schema: schema ?? null,
        changedModules,
        unchangedModuleHashes: [],
        udfServerVersion,
      },
      componentDefinitions,
      nodeDependencies,
      ...(typeof nodeVersion === "string" ? { nodeVersion } : {}),
    },
  };
}

export async function writePushFile(path: string, file: PushFile): Promise<void> {
  await writeFile(path, JSON.stringify(file));
}

/** @throws ActionError `push-file-invalid` */
export async function readPushFile(path: string): Promise<PushFile> {
  let value: unknown;
  try {
    const { size } = await stat(path);
    if (size > LARGEST) throw invalid(path, `it has ${Math.round(size / 1024 / 1024)} MiB, and a backend takes 200`);
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    // The text of the file is not repeated: it may hold anything.
    throw error instanceof ActionError
      ? error
      : invalid(path, error instanceof SyntaxError ? "it is no JSON" : messageOf(error));
  }
  const { format, cliVersion, push: recorded } = asRecord(value);
  if (format !== FORMAT || typeof cliVersion !== "string" || !/^\d+\.\d+\.\d+[\w.-]*$/.test(cliVersion)) {
    throw invalid(path, "its format or version is missing or unknown");
  }
  return fileOf(recorded, cliVersion, path);
}

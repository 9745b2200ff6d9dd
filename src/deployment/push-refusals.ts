import type { FailedCall } from "./push-output.ts";
import { modulePlace, stackPlace, tablePlace } from "./push-places.ts";
import type { PushContext, Verdict } from "./push-verdict.ts";

/** What an error answer to one of the CLI's calls means (contract 5.2 "Errors of evaluate_push and start_push", 5.4, 12). */
export function refusedCall(call: FailedCall, context: PushContext): Verdict {
  if (call.status === 401) {
    return {
      code: "admin-key-rejected",
      message:
        "The backend does not accept the admin key: it was made for another instance name, or the instance secret is another one.",
      hint: "Make a new one on the server with ./generate_admin_key.sh and update the secret that holds it.",
    };
  }
  if (call.status === 404 && call.code === "") return missingRoute(call, context.cliVersion);
  if (call.code === "") {
    return {
      code: "backend-answer-unreadable",
      message: `${call.endpoint} was answered with ${call.status} by something in front of the backend, usually a proxy.`,
      hint:
        call.status === 413
          ? "Raise the proxy's limit on body size: a deploy sends megabytes."
          : "Look at the proxy's log and its way to the backend.",
    };
  }
  if (call.status >= 500 || call.status === 408 || call.status === 429) return serverFault(call, context);
  return badPush(call, context);
}

export function missingRoute(call: FailedCall, cliVersion: string): Verdict {
  const asks = `convex ${cliVersion} asks for ${call.endpoint}`;
  if (call.endpoint === "evaluate_push") {
    return {
      code: "cli-too-new",
      message: `${asks}, which this backend (it answers like releases before 2025-11-04) does not know; the CLI repeats the call for 38 s and fails.`,
      hint: "Use a newer backend, or convex 1.29.1 or older.",
    };
  }
  if (["start_push", "wait_for_schema", "finish_push", "get_canonical_urls"].includes(call.endpoint)) {
    return {
      code: "cli-too-new",
      message: `${asks}, which this backend does not know.`,
      hint: "Use a newer backend, or an older convex.",
    };
  }
  return {
    code: "backend-route-missing",
    message: `${asks} and gets 404: this is no Convex API, perhaps the port of the HTTP actions.`,
    hint: "Give the URL of the API (port 3210 by default), without a path.",
  };
}

function serverFault(call: FailedCall, context: PushContext): Verdict {
  const said = `${call.endpoint} was answered with ${call.status} ${call.code}`;
  if (call.status !== 500) {
    return {
      code: "backend-busy",
      message: `${said}: ${call.message}`,
      hint: "Run it again; other work on the backend gets in the way.",
      retry: true,
    };
  }
  if (call.endpoint === "finish_push") {
    return {
      code: "backend-failed",
      message: `${said}: an index was perhaps not ready yet.`,
      hint: "Run it again; the cause is in the backend's log.",
      retry: true,
    };
  }
  const node = context.nodeModules[0];
  return {
    code: "backend-failed",
    message: `${said} and no reason.${node === undefined ? "" : ` The app has Node actions (${node}), and a backend without node on its PATH answers so.`}`,
    hint:
      node === undefined
        ? "The cause is in the backend's log. `Src Pkg storage key not found` there means that its database was kept and its storage was not: deploy once with convex 1.31.6."
        : "Give the backend a node of version 20, 22 or 24; the cause is in its log.",
  };
}

interface Kind {
  readonly matches: (call: FailedCall) => boolean;
  readonly code: string;
  readonly title: string;
  readonly hint: string;
  /** The module at fault where the text names none. */
  readonly module?: string;
}

const of =
  (...codes: string[]) =>
  (call: FailedCall): boolean =>
    codes.includes(call.code);
const says =
  (pattern: RegExp) =>
  (call: FailedCall): boolean =>
    pattern.test(call.message);

/** The list of codes is open (a thrown JavaScript error has the code `Error`), so texts decide before codes. */
const KINDS: readonly Kind[] = [
  {
    matches: of("InvalidAuthConfig"),
    code: "auth-config-invalid",
    title: "The auth config is refused",
    module: "auth.config.js",
    hint: "Correct auth.config or the variables that it reads: a domain needs a scheme or a known top-level domain.",
  },
  {
    matches: of("InvalidExternalModules"),
    code: "external-packages-failed",
    title: "External packages cannot be installed",
    hint: "The backend itself runs npm install for node.externalPackages: it needs npm and a way to the registry.",
  },
  {
    matches: of("DeploymentNotConfiguredForNodeActions", "NodeVersionNotSupported"),
    code: "node-version-unsupported",
    title: "Node actions cannot run",
    hint: "Give the backend a node of version 20, 22 or 24 on its PATH.",
  },
  {
    matches: (call) =>
      call.inSchema || of("TableNameReserved", "MissingSchemaExportError", "SchemaDefinitionError")(call),
    code: "schema-invalid",
    title: "The schema is refused",
    hint: "Correct schema.ts; nothing was deployed.",
  },
  {
    matches: (call) => call.code === "InvalidCron" || says(/^The cron job |cron identifier/i)(call),
    code: "cron-invalid",
    title: "A cron job is refused",
    module: "crons.js",
    hint: "Correct crons.ts; nothing was deployed.",
  },
  {
    matches: says(/is not defined\b/),
    code: "modules-invalid",
    title: "A module cannot be loaded",
    hint: 'A newer backend may have what is not defined (performance: since 2026-04-29); or move the code into a "use node" file.',
  },
  {
    matches: says(/Only actions can be defined in Node\.js/),
    code: "modules-invalid",
    title: "A module cannot be loaded",
    hint: 'Move queries and mutations out of the file with "use node".',
  },
  {
    matches: says(/is not a valid path to a Convex module/),
    code: "modules-invalid",
    title: "A module's path is refused",
    hint: "Rename the file: letters, digits, _ and points only.",
  },
  {
    matches: (call) =>
      of("InvalidDefinition", "TypecheckError", "InvalidConvexConfig")(call) || says(/\(convex\.config\.[jt]s:/)(call),
    code: "convex-config-invalid",
    title: "convex.config.ts is refused",
    module: "convex.config.js",
    hint: "Correct convex.config.ts; nothing was deployed.",
  },
  {
    matches: says(/^Invalid node version/),
    code: "convex-config-invalid",
    title: "convex.json is refused",
    hint: "Set nodeVersion in convex.json to 20, 22 or 24.",
  },
  {
    matches: (call) =>
      of("InvalidModules", "InvalidFunctionName")(call) || says(/^(Failed to analyze|Uncaught )/)(call),
    code: "modules-invalid",
    title: "A module cannot be loaded",
    hint: "Correct the module. One that needs a variable when it is loaded gets it by env, env-file or env-names.",
  },
];

function badPush(call: FailedCall, context: PushContext): Verdict {
  const { sources, cliVersion } = context;
  if (call.code === "BadJsonBody") {
    return {
      code: "cli-too-new",
      message: `convex ${cliVersion} speaks to ${call.endpoint} in a way that this backend does not understand: ${call.message}`,
      hint: "Use a newer backend (convex 1.31.7 and newer need one of 2026-01-22 or later), or convex 1.31.6 or older.",
    };
  }
  const kind = KINDS.find(({ matches }) => matches(call));
  const first = call.message.split("\n")[0] ?? "";
  const table = /[Tt]able "([^"]+)"/.exec(call.message)?.[1];
  const where =
    stackPlace(call.message, sources) ??
    (kind?.code === "schema-invalid" ? tablePlace(table, sources) : modulePlace(kind?.module ?? call.message, sources));
  const title = kind?.title ?? "The deploy is refused";
  const annotations = where === undefined ? [] : [{ title, message: call.message, ...where }];
  const at =
    where === undefined ? "" : ` (${where.file}${"line" in where && where.line !== undefined ? `:${where.line}` : ""})`;
  return {
    code: kind?.code ?? "deploy-refused",
    message: `${title}: ${first}${at}`,
    hint: kind?.hint ?? `The backend's code for it is ${call.code}; nothing was deployed.`,
    annotations,
  };
}

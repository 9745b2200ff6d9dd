import type { Annotation } from "../runner/annotations.ts";
import { failedCallOf, lastWords } from "./push-output.ts";
import { authPlace, bundleErrors, tablePlace, typeErrors } from "./push-places.ts";
import { refusedCall } from "./push-refusals.ts";
import type { PushContext, Verdict } from "./push-verdict.ts";

type Rule = (output: string, context: PushContext) => Verdict | undefined;

const RULES: readonly Rule[] = [
  typecheckFailed,
  bundleFailed,
  projectUnfit,
  authVariableMissing,
  requiredMissing,
  schemaViolated,
  raced,
  needsConfirmation,
  forbidden,
  (output, context) => {
    const call = failedCallOf(output);
    return call === undefined ? undefined : refusedCall(call, context);
  },
  unreachable,
];

/** The first rule that knows the output (contract 5.3, 5.4); what none knows is quoted. */
export function judge(output: string, exitCode: number, context: PushContext): Verdict {
  for (const rule of RULES) {
    const verdict = rule(output, context);
    if (verdict !== undefined) return verdict;
  }
  return unknown(output, exitCode);
}

const place = ({ file, line }: Annotation): string =>
  file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}`}: `;

function typecheckFailed(output: string, context: PushContext): Verdict | undefined {
  const skipped = /^(?:Found no (\S+) to use|No `(\w+)` binary found).*, so skipping typecheck\.$/m.exec(output);
  if (skipped !== null && output.includes("To ignore failing typecheck")) {
    return {
      code: "typecheck-impossible",
      message: `The type check cannot be done: ${skipped[1] ?? `${skipped[2]} in the project's own node_modules`} is missing.`,
      hint: "Add it to the project (typescript among its devDependencies; `npx convex codegen --init` makes the tsconfig), or set typecheck: try.",
    };
  }
  if (!/^✖ TypeScript typecheck (via `\w+` failed|timed out)/m.test(output)) return undefined;
  const annotations = typeErrors(output, context.sources);
  const [first] = annotations;
  const count = annotations.length === 1 ? "1 type error" : `${annotations.length} type errors`;
  return {
    code: "typecheck-failed",
    message: first === undefined ? "The type check failed." : `${count}. ${place(first)}${first.message}`,
    hint: "Correct the types; nothing was deployed. typecheck: disable deploys without the check.",
    annotations,
  };
}

function bundleFailed(output: string, context: PushContext): Verdict | undefined {
  const annotations = bundleErrors(output, context.sources);
  const [first] = annotations;
  if (first === undefined) return undefined;
  if (output.includes("convex-virtual-config:")) {
    return {
      code: "no-convex-folder",
      message: `The folder ${context.sources.functionsPath}/ is not there or convex cannot be resolved from it.`,
      hint: `Set working-directory to the package with the convex folder, and run \`${context.installCommand}\` in a step before this one.`,
    };
  }
  const message = `${annotations.length > 1 ? `${annotations.length} errors. ` : ""}${place(first)}${first.message}`;
  if (output.includes('without the "use node" directive')) {
    return {
      code: "bundle-node-api",
      message,
      hint: 'Move the actions that use Node into a file of their own that begins with "use node".',
      annotations,
    };
  }
  const unresolved = /Could not resolve "([^"]+)"/.exec(first.message)?.[1];
  if (unresolved === undefined) {
    return { code: "bundle-failed", message, hint: "Correct the file; nothing was sent to the backend.", annotations };
  }
  return {
    code: "bundle-unresolved",
    message,
    hint: unresolved.endsWith("/convex.config.js")
      ? "A component in this repository has to be built first: run its build in a step before this one."
      : unresolved.startsWith(".")
        ? "Check the path of the import; a generated file has to be there before the deploy."
        : `Add it to package.json, and run \`${context.installCommand}\` in a step before this one.`,
    annotations,
  };
}

function projectUnfit(output: string, context: PushContext): Verdict | undefined {
  const parsing = /Error: Parsing "convex\.json" failed\s+(.*)/.exec(output);
  if (parsing !== null) {
    return {
      code: "convex-json-invalid",
      message: `convex.json is not JSON: ${parsing[1] ?? ""}`,
      hint: "Correct the file; comments and a comma behind the last entry are not allowed in it.",
    };
  }
  if (output.includes("add `convex` to your package.json dependencies")) {
    return {
      code: "convex-not-installed",
      message: "package.json does not name convex.",
      hint: "Add it with `npm install convex`.",
    };
  }
  if (/^✖ (No CONVEX_DEPLOYMENT set|Please set CONVEX_DEPLOY_KEY)/m.test(output)) {
    return {
      code: "cli-too-old",
      message: `convex ${context.cliVersion} does not know self-hosted deployments.`,
      hint: "Update convex to 1.19.2 or newer.",
    };
  }
  return undefined;
}

function authVariableMissing(output: string, { sources }: PushContext): Verdict | undefined {
  const name = /Environment variable (\S+) is used in auth config file but its value was not set/.exec(output)?.[1];
  if (name === undefined) return undefined;
  const where = authPlace(name, sources);
  const message = `auth.config reads ${name}, which is not set on the deployment.`;
  return {
    code: "auth-variable-missing",
    message,
    hint: "Set it by env, env-file or env-names.",
    annotations: [{ title: `${name} is not set`, message, ...where }],
  };
}

function requiredMissing(output: string): Verdict | undefined {
  const match =
    /Environment variables? (.+?) (?:are|is) declared as required in convex\.config\.ts/.exec(output) ??
    /Required environment variables are not set: (.+?)\. Set them/.exec(output);
  if (match === null) return undefined;
  return {
    code: "env-required",
    message: `convex.config.ts requires ${match[1] ?? ""}, which is not set on the deployment.`,
    hint: "Set it by env, env-file or env-names.",
  };
}

function schemaViolated(output: string, context: PushContext): Verdict | undefined {
  const match =
    /^✖ Schema validation failed(?: in component "([^"]+)")?\.?\n([\s\S]*)/m.exec(output) ??
    /SchemaAlreadyFailed: [\s\S]*?(?:failed with error:)()\s*([\s\S]*)/.exec(output);
  if (match === null) return undefined;
  const component = match[1] ?? "";
  const text = (match[2] ?? "").trim();
  const table = /in table "([^"]+)"/.exec(text)?.[1];
  const first = text.split("\n")[0]?.replace(/ Consider wrapping .*$/, "") ?? "";
  const annotation = {
    title: "The data do not fit the schema",
    message: text,
    ...tablePlace(table, context.sources, component),
  };
  return {
    code: "schema-violated",
    message: `The data on the deployment do not fit the new schema${component === "" ? "" : ` of component ${component}`}. ${first}`,
    hint: "Make the field optional or migrate the documents first; on a backend of this job, change the seed.",
    annotations: [annotation],
  };
}

const PASSING =
  /Environment variables have changed during push|: (ExistingModuleHashConflict|MissingExistingModule|OptimisticConcurrencyControlFailure|ConcurrentPush|RaceDetected): /;

/** A deploy that met another one: done again as a whole, unless the other schema is the newer one (contract 5.2). */
function raced(output: string): Verdict | undefined {
  if (/Schema was overwritten by another push|: SchemaAlreadyOverwritten: /.test(output)) {
    return {
      code: "deploy-raced",
      message: "Another deploy with another schema began while this one ran, and replaced its schema.",
      hint: "Nothing of this deploy is live. Run it again if it is the newer one, and let deploys to one backend run one after the other (concurrency: in the workflow).",
    };
  }
  if (!PASSING.test(output)) return undefined;
  const env = output.includes("Environment variables have changed");
  return {
    code: "deploy-raced",
    message: env
      ? "Environment variables changed on the deployment while the deploy ran."
      : "Another deploy to the same backend got in between.",
    hint: "Let deploys to one backend run one after the other (concurrency: in the workflow), and change variables before or after.",
    retry: true,
  };
}

function needsConfirmation(output: string): Verdict | undefined {
  if (!output.includes("To confirm the push:")) return undefined;
  const indexes = [...output.matchAll(/^⛔ (\S+).*?(\S+ documents)$/gm)].map((match) => `${match[1]} (${match[2]})`);
  return {
    code: "deploy-unconfirmed",
    message:
      indexes.length > 0
        ? `The deploy would delete indexes of large tables: ${indexes.join(", ")}.`
        : "The deploy would change indexes or validators of large tables, which the CLI does only when asked.",
    hint: "Deploy this change once by hand with `npx convex deploy --skip-large-indexes-check`.",
  };
}

function forbidden(output: string): Verdict | undefined {
  const readOnly = /^✖ You do not have permission to perform this operation/m.test(output);
  if (!readOnly && !/^✖ The provided deploy key was invalid for this deployment/m.test(output)) return undefined;
  return {
    code: "admin-key-forbidden",
    message: `The admin key may not deploy: it is a ${readOnly ? "read-only" : "system"} key.`,
    hint: "Use a key that ./generate_admin_key.sh prints without options.",
  };
}

function unreachable(output: string): Verdict | undefined {
  if (/Headers\.set: .* is an invalid header value/s.test(output)) {
    return {
      code: "admin-key-malformed",
      message: "The admin key has a line break inside.",
      hint: "Copy the whole line that ./generate_admin_key.sh prints on the server into the secret.",
    };
  }
  if (/^✖ TypeError: Invalid URL/m.test(output)) {
    return {
      code: "url-invalid",
      message: "The backend's URL is none.",
      hint: "Write it with http:// or https://, without quotes.",
    };
  }
  if (/^✖ SyntaxError: /m.test(output)) {
    return {
      code: "backend-answer-unreadable",
      message: "Something else than a Convex backend answers under the URL, usually a web server or a proxy.",
      hint: "Check the URL and the proxy's way to the backend.",
    };
  }
  if (!/^✖ TypeError: fetch failed/m.test(output)) return undefined;
  // Whether the last call took effect is not known; doing all of it again is safe.
  const finishing = /^✖ Error: Unable to finish push/m.test(output);
  return {
    code: "backend-unreachable",
    message: finishing
      ? "The backend stopped answering while the deploy was being finished; whether it took effect is not known."
      : "The CLI does not reach the backend.",
    hint: "Check that the backend runs and that this job reaches it under its URL.",
    retry: finishing,
  };
}

function unknown(output: string, exitCode: number): Verdict {
  if (exitCode > 128) {
    const signal = exitCode === 137 ? ", usually for want of memory" : "";
    return {
      code: "deploy-killed",
      message: `convex deploy was ended by signal ${exitCode - 128}${signal}.`,
      hint: "Its output is above.",
    };
  }
  return {
    code: "deploy-failed",
    message: `convex deploy ended with exit code ${exitCode}: ${lastWords(output)}`,
    hint: "Its whole output is above.",
  };
}

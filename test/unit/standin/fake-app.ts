/** A stand-in backend whose deployed code is a few functions in this process. */
import { Backend } from "../../standin/backend.ts";
import { issueKey } from "../../standin/generate-key.ts";
import {
  type FunctionCall,
  FunctionError,
  type FunctionKind,
  type FunctionRunner,
  type Outcome,
  type ReadTransaction,
  type Value,
  type WriteTransaction,
} from "../../standin/types.ts";

export type Code = (context: { tx: ReadTransaction | WriteTransaction; call: FunctionCall }) => Value | Promise<Value>;
export type FakeFunctions = Record<string, { kind: FunctionKind; internal?: boolean; code: Code }>;

const secret = "00".repeat(32);

/** All functions are in `m.js` of the root component. */
export async function startFake(directory: string, functions: FakeFunctions) {
  const backend = await Backend.open({
    instanceName: "fake",
    instanceSecret: secret,
    dbFile: `${directory}/db.sqlite3`,
    storage: { kind: "local", dir: `${directory}/storage` },
    tmpDir: directory,
  });
  backend.runner = fakeRunner(functions, backend);
  await backend.listen();
  return { backend, adminKey: issueKey("fake", secret), readOnlyKey: issueKey("fake", secret, { readOnly: true }) };
}

function fakeRunner(functions: FakeFunctions, backend: Backend): FunctionRunner {
  const run = async (call: FunctionCall, tx: ReadTransaction | WriteTransaction): Promise<Outcome> => {
    try {
      const value = (await functions[call.path.name]?.code({ tx, call })) ?? null;
      return { status: "success", value, logLines: [] };
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      return { status: "error", error, logLines: [] };
    }
  };
  const analyzed = Object.entries(functions).map(([name, { kind, internal }]) => ({
    name,
    kind,
    visibility: internal === true ? ("internal" as const) : ("public" as const),
    args: { type: "any" },
    returns: null,
  }));
  return {
    modules: (_tx, component) =>
      component === "" ? [{ path: "m.js", environment: "isolate", functions: analyzed, httpRoutes: null }] : undefined,
    query: run,
    mutation: run,
    action: (call) => run(call, backend.store.beginRead()),
    testQuery: (_bundle, call, tx) => run(call, tx),
  };
}

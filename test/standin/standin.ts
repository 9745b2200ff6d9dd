/** A stand-in backend for tests, with all its parts, on free ports and in a directory of its own. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Backend, type BackendOptions } from "./backend.ts";
import { issueKey } from "./generate-key.ts";
import { attachParts } from "./parts.ts";

export interface Standin extends AsyncDisposable {
  readonly backend: Backend;
  readonly url: string;
  readonly siteUrl: string;
  readonly instanceName: string;
  readonly instanceSecret: string;
  readonly adminKey: string;
  readonly directory: string;
  /** Cuts everything and removes the directory unless it was given. */
  stop(): Promise<void>;
}

/** Ready when it resolves. With `directory` the data is taken from there and stays. */
export async function startStandin(options: Partial<BackendOptions> & { directory?: string } = {}): Promise<Standin> {
  const { directory: given, ...rest } = options;
  const directory = given ?? (await mkdtemp(join(tmpdir(), "standin-")));
  const backend = await Backend.open({
    instanceName: "standin",
    instanceSecret: randomBytes(32).toString("hex"),
    dbFile: join(directory, "db.sqlite3"),
    storage: { kind: "local", dir: join(directory, "storage") },
    tmpDir: directory,
    ...rest,
  });
  await attachParts(backend);
  await backend.listen();
  const stop = async () => {
    await backend.destroy();
    if (given === undefined) await rm(directory, { recursive: true, force: true });
  };
  const { instanceName, instanceSecret } = backend.options;
  return {
    backend,
    url: backend.url,
    siteUrl: backend.siteUrl,
    instanceName,
    instanceSecret,
    adminKey: issueKey(instanceName, instanceSecret, { legacy: backend.like === "first" }),
    directory,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

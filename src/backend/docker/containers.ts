import { type Engine, EngineFault } from "./engine.ts";
import { type Fields, fieldsOf, listOf, numberOf, textMapOf, textOf, textsOf } from "./fields.ts";
import { demultiplex, linesOf, type Output } from "./frames.ts";

/** What the engine says of one container ("Inspect a container"). */
export interface ContainerInfo {
  readonly id: string;
  readonly name: string;
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly running: boolean;
  readonly exitCode: number;
  readonly outOfMemory: boolean;
  /** How often its restart policy started it again. */
  readonly restarts: number;
  readonly env: Readonly<Record<string, string>>;
  /** Host ports by inner port (`3210/tcp`). */
  readonly ports: Readonly<Record<string, number>>;
  readonly networkMode: string;
  /** Aliases by network name. */
  readonly networks: Readonly<Record<string, readonly string[]>>;
  readonly mounts: readonly { readonly source: string; readonly destination: string }[];
}

/** One entry of "List containers". */
export interface ContainerEntry {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly running: boolean;
  /** `created`, `running`, `exited`, … */
  readonly state: string;
  readonly created: Date;
  readonly publicPorts: readonly number[];
  /** Names of its networks. */
  readonly networks: readonly string[];
}

function at(id: string, rest = ""): string {
  return `/containers/${encodeURIComponent(id)}${rest}`;
}

/** @returns the id */
export async function createContainer(engine: Engine, name: string, config: Fields): Promise<string> {
  const what = `create the container ${name}`;
  const answer = await engine.request(what, "/containers/create", { method: "POST", query: { name }, body: config });
  return textOf(fieldsOf(answer.json())["Id"]) ?? name;
}

export async function startContainer(engine: Engine, id: string): Promise<void> {
  await engine.request(`start the container ${id}`, at(id, "/start"), { method: "POST" });
}

/** @returns false when there is no such container or it does not run */
export async function killContainer(engine: Engine, id: string, signal: "SIGINT" | "SIGKILL"): Promise<boolean> {
  const what = `send ${signal} to the container ${id}`;
  return unless([404, 409], () => engine.request(what, at(id, "/kill"), { method: "POST", query: { signal } }));
}

/** Asks it to end by its own stop signal, and kills it after `seconds`. @returns false when there is none or it does not run */
export async function stopContainer(engine: Engine, id: string, seconds: number): Promise<boolean> {
  const query = { t: String(seconds) };
  return unless([304, 404], () =>
    engine.request(`stop the container ${id}`, at(id, "/stop"), { method: "POST", query }),
  );
}

/** Removes it, running or not, with its anonymous volumes. @returns false when there is none */
export async function removeContainer(engine: Engine, id: string): Promise<boolean> {
  const query = { v: "1", force: "1" };
  // 409: its removal is under way already.
  return unless([404, 409], () => engine.request(`remove the container ${id}`, at(id), { method: "DELETE", query }));
}

/** Resolves once it does not run (at once when it does not), with its exit code. */
export async function waitContainer(engine: Engine, id: string, signal?: AbortSignal): Promise<number> {
  const answer = await engine.stream(`wait for the container ${id}`, at(id, "/wait"), {
    method: "POST",
    timeoutMs: 0,
    ...(signal === undefined ? {} : { signal }),
  });
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body as AsyncIterable<Buffer>) chunks.push(chunk);
  return numberOf(fieldsOf(JSON.parse(String(Buffer.concat(chunks))))["StatusCode"]) ?? -1;
}

/** @returns undefined when there is none */
export async function inspectContainer(engine: Engine, id: string): Promise<ContainerInfo | undefined> {
  const answer = await unlessMissing(() => engine.request(`inspect the container ${id}`, at(id, "/json")));
  return answer === undefined ? undefined : containerInfo(fieldsOf(answer.json()));
}

function containerInfo(json: Fields): ContainerInfo {
  const state = fieldsOf(json["State"]);
  const config = fieldsOf(json["Config"]);
  const network = fieldsOf(json["NetworkSettings"]);
  return {
    id: textOf(json["Id"]) ?? "",
    name: (textOf(json["Name"]) ?? "").replace(/^\//, ""),
    imageId: textOf(json["Image"]) ?? "",
    labels: textMapOf(config["Labels"]),
    running: state["Running"] === true,
    exitCode: numberOf(state["ExitCode"]) ?? 0,
    outOfMemory: state["OOMKilled"] === true,
    restarts: numberOf(json["RestartCount"]) ?? 0,
    env: Object.fromEntries(textsOf(config["Env"]).map((entry) => splitOnce(entry, "="))),
    ports: hostPorts(fieldsOf(network["Ports"])),
    networkMode: textOf(fieldsOf(json["HostConfig"])["NetworkMode"]) ?? "",
    networks: Object.fromEntries(
      Object.entries(fieldsOf(network["Networks"])).map(([name, entry]) => [name, textsOf(fieldsOf(entry)["Aliases"])]),
    ),
    mounts: listOf(json["Mounts"]).map((mount) => ({
      source: textOf(fieldsOf(mount)["Source"]) ?? "",
      destination: textOf(fieldsOf(mount)["Destination"]) ?? "",
    })),
  };
}

function splitOnce(text: string, mark: string): [string, string] {
  const [head = "", ...rest] = text.split(mark);
  return [head, rest.join(mark)];
}

function hostPorts(ports: Fields): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [inner, bindings] of Object.entries(ports)) {
    const port = Number(textOf(fieldsOf(listOf(bindings)[0])["HostPort"]));
    if (port > 0) found[inner] = port;
  }
  return found;
}

/** All containers, running or not, that match the engine's filters (`label`, `network`, …). */
export async function listContainers(
  engine: Engine,
  filters: Readonly<Record<string, readonly string[]>>,
): Promise<ContainerEntry[]> {
  const query = { all: "1", filters: JSON.stringify(filters) };
  const answer = await engine.request("list the containers", "/containers/json", { query });
  return listOf(answer.json()).map((value) => {
    const entry = fieldsOf(value);
    return {
      id: textOf(entry["Id"]) ?? "",
      name: (textsOf(entry["Names"])[0] ?? "").replace(/^\//, ""),
      image: textOf(entry["Image"]) ?? "",
      labels: textMapOf(entry["Labels"]),
      running: entry["State"] === "running",
      state: textOf(entry["State"]) ?? "",
      created: new Date((numberOf(entry["Created"]) ?? 0) * 1000),
      publicPorts: listOf(entry["Ports"]).flatMap((port) => numberOf(fieldsOf(port)["PublicPort"]) ?? []),
      networks: Object.keys(fieldsOf(fieldsOf(entry["NetworkSettings"])["Networks"])),
    };
  });
}

/** The newest lines of both streams, oldest first; none when the container is gone. */
export async function readLogs(engine: Engine, id: string, count: number): Promise<string[]> {
  const query = { stdout: "1", stderr: "1", tail: String(count) };
  const answer = await unlessMissing(() =>
    engine.request(`read the log of the container ${id}`, at(id, "/logs"), { query }),
  );
  return answer === undefined ? [] : linesOf(demultiplex(answer.body).text).slice(-count);
}

/** Runs a program in a container, without a terminal, and waits for its end. */
export async function execIn(
  engine: Engine,
  id: string,
  argv: readonly string[],
  options: { readonly workingDirectory?: string; readonly timeoutMs?: number } = {},
): Promise<Output & { readonly exitCode: number }> {
  const what = `run ${argv[0]} in the container ${id}`;
  const created = await engine.request(what, at(id, "/exec"), {
    method: "POST",
    body: {
      AttachStdout: true,
      AttachStderr: true,
      Cmd: argv,
      ...(options.workingDirectory === undefined ? {} : { WorkingDir: options.workingDirectory }),
    },
  });
  const exec = `/exec/${textOf(fieldsOf(created.json())["Id"]) ?? ""}`;
  const output = await engine.request(what, `${exec}/start`, {
    method: "POST",
    body: { Detach: false, Tty: false },
    timeoutMs: options.timeoutMs ?? 30_000,
  });
  const after = fieldsOf((await engine.request(what, `${exec}/json`)).json());
  return { ...demultiplex(output.body), exitCode: numberOf(after["ExitCode"]) ?? -1 };
}

async function unless(statuses: readonly number[], send: () => Promise<unknown>): Promise<boolean> {
  try {
    await send();
    return true;
  } catch (error) {
    if (error instanceof EngineFault && statuses.includes(error.status)) return false;
    throw error;
  }
}

/** The answer, or undefined when the engine knows no such thing (404). */
export async function unlessMissing<T>(send: () => Promise<T>): Promise<T | undefined> {
  try {
    return await send();
  } catch (error) {
    if (error instanceof EngineFault && error.status === 404) return undefined;
    throw error;
  }
}

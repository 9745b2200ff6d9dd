import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { ActionError } from "../../../src/runner/errors.ts";
import { checkDatabase, readyDatabase } from "../../../src/start/database.ts";
import { readStartInputs, type StartInputs } from "../../../src/start/inputs.ts";
import { machine } from "../backend/support.ts";

const inputs = (changes: Partial<StartInputs>): StartInputs => ({ ...readStartInputs(() => ""), ...changes });
const LOOSE = { DO_NOT_REQUIRE_SSL: "true" };

/** Counts who connects, and sends everyone away. */
async function door(): Promise<{ readonly port: number; visitors(): number }> {
  let visitors = 0;
  const server = createServer((socket) => {
    visitors += 1;
    socket.on("error", () => undefined);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, visitors: () => visitors };
}

async function ready(wish: Partial<StartInputs>, runtime: "docker" | "binary"): Promise<ActionError | undefined> {
  const { deps } = machine();
  const wanted = inputs(wish);
  const target = checkDatabase(wanted, LOOSE, deps);
  if (target === undefined) throw new Error("no database");
  return await readyDatabase(target, wanted, runtime, LOOSE, deps).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ActionError) return error;
      throw error;
    },
  );
}

describe.each([
  ["postgres-url", (host: string) => ({ postgresUrl: `postgresql://u:secretword@${host}?sslmode=disable` })],
  ["mysql-url", (host: string) => ({ mysqlUrl: `mysql://u:secretword@${host}` })],
] as const)("%s of a backend in a container", (input, at) => {
  it.each(["127.0.0.1", "localhost", "[::1]"])("must not be %s, which is the container itself there", async (host) => {
    const error = await ready(at(`${host}:5432`), "docker");
    expect(error).toMatchObject({
      code: "database-host-loopback",
      hint: expect.stringContaining("host.docker.internal"),
    });
    expect(error?.message).toContain(input);
  });

  it("is reached by the job under a name of its own", async () => {
    const { port, visitors } = await door();
    const error = await ready({ ...at(`host.docker.internal:${port}`), createDatabase: true }, "docker");
    expect(error?.code).toBe("database-unreachable");
    expect(visitors()).toBeGreaterThan(0);
  });

  it("may be a name that only containers know, unless something has to be created there", async () => {
    expect(await ready(at("database.invalid:5432"), "docker")).toBeUndefined();
    const wish = { ...at("database.invalid:5432"), createDatabase: true };
    expect(await ready(wish, "docker")).toMatchObject({ code: "database-unreachable" });
    expect(await ready(at("database.invalid:5432"), "binary")).toMatchObject({ code: "database-unreachable" });
  });
});

describe("checkDatabase", () => {
  it("masks the password by itself, and knows who asks for no database", () => {
    const { deps, told } = machine();
    checkDatabase(inputs({ mysqlUrl: "mysql://u:secretword@h" }), LOOSE, deps);
    expect(told.masked).toContain("secretword");
    expect(checkDatabase(inputs({}), LOOSE, deps)).toBeUndefined();
  });
});

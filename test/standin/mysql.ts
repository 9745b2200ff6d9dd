/** MySQL is not imitated beyond its refusals (contract 1.4): the URL, a server that does not answer. */
import { connect } from "node:net";
import { StartError } from "./database.ts";
import { causeOf } from "./postgres.ts";

const ANSWER_TIMEOUT_MS = 19_000;

/** @throws StartError always */
export async function refuseMysql(text: string): Promise<never> {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(text)) throw new StartError("relative URL without a base");
  const url = new URL(text);
  if (url.username === "") throw new StartError("cluster url username must be set");
  if (url.protocol !== "mysql:") {
    throw new StartError(`Unsupported connection URL scheme \`${url.protocol.slice(0, -1)}'`);
  }
  const [unknown] = [...url.searchParams.keys()].filter((name) => !["require_ssl", "verify_ca"].includes(name));
  if (unknown !== undefined) throw new StartError(`Unknown connection URL parameter \`${unknown}'`);
  await reach(url);
  throw new StartError("The stand-in (test double) has no MySQL: use SQLite or Postgres.");
}

function reach(url: URL): Promise<void> {
  const text = "Your request couldn't be completed. Try again later.";
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: Number(url.port || 3306), timeout: ANSWER_TIMEOUT_MS });
    const fail = (cause: string) => {
      socket.destroy();
      reject(new StartError(text, `Input/output error: ${cause}`));
    };
    socket.once("error", (error) => fail(causeOf(error)));
    socket.once("timeout", () => fail("timed out"));
    socket.once("data", () => {
      socket.destroy();
      resolve();
    });
  });
}

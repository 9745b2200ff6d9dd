/**
 * Just enough of the Postgres protocol (version 3) to start, authenticate and run statements as text: what decides
 * whether a backend starts, and the lease that ends an older one (contract 1.4). The data of the stand-in itself lies
 * in a local file that belongs to the database (see process.ts).
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls, rootCertificates } from "node:tls";
import { StartError } from "./database.ts";
import type { PostgresTarget } from "./postgres-url.ts";

const ANSWER_TIMEOUT_MS = 30_000;

/** What the server answered with an ErrorResponse: `FATAL: ...`. */
export class PostgresError extends Error {}

interface Message {
  type: string;
  body: Buffer;
}

/** One connection; statements run one after another. */
export class PostgresConnection {
  readonly #socket: Socket;
  #buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#wake?.();
    });
    const end = (error?: Error) => {
      this.#ended ??= error ?? new Error("connection closed");
      this.#wake?.();
    };
    socket.on("error", end);
    socket.on("close", () => end());
  }

  /** Connects and authenticates. @throws StartError with the texts of contract 1.4 */
  static async open(target: PostgresTarget, caFile: string | undefined): Promise<PostgresConnection> {
    const ca = readCa(caFile);
    if (target.host.startsWith("/")) throw new StartError("error performing TLS handshake", "invalid dns name");
    const connection = new PostgresConnection(await secure(await dial(target), target, ca));
    try {
      await withTimeout(connection.#start(target));
      const [[readOnly] = []] = await connection.query("SHOW transaction_read_only");
      if (readOnly === "on") throw new StartError("error connecting to server", "database does not allow writes");
      return connection;
    } catch (error) {
      connection.close();
      throw error instanceof PostgresError ? new StartError("db error", error.message) : error;
    }
  }

  /** Rows as text; the statement must be trusted. @throws PostgresError, or Error when the connection is gone */
  async query(statement: string): Promise<(string | null)[][]> {
    this.#send("Q", Buffer.from(`${statement}\0`));
    const rows: (string | null)[][] = [];
    let failure: Error | undefined;
    for (;;) {
      const { type, body } = await this.#receive();
      if (type === "D") rows.push(readRow(body));
      else if (type === "E") failure = new PostgresError(readError(body));
      else if (type === "Z") {
        if (failure) throw failure;
        return rows;
      }
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #start(target: PostgresTarget): Promise<void> {
    const { user, database } = target;
    const pairs = Object.entries({ user, database, client_encoding: "UTF8", ...target.parameters });
    const text = pairs.map(([key, value]) => `${key}\0${value}\0`).join("");
    const body = Buffer.concat([int32(196608), Buffer.from(`${text}\0`)]);
    this.#socket.write(Buffer.concat([int32(body.length + 4), body]));
    for (;;) {
      const { type, body } = await this.#receive();
      if (type === "R") await this.#authenticate(body, target);
      else if (type === "E") throw new PostgresError(readError(body));
      else if (type === "Z") return;
    }
  }

  async #authenticate(body: Buffer, target: PostgresTarget): Promise<void> {
    const method = body.readInt32BE(0);
    if (method === 0) {
      if (target.channelBinding) throw new StartError("authentication error", "server did not use channel binding");
      return;
    }
    const { password } = target;
    if (password === undefined) throw new StartError("invalid configuration", "password missing");
    if (method === 3) this.#send("p", Buffer.from(`${password}\0`));
    else if (method === 5) this.#send("p", Buffer.from(`${md5Answer(target.user, password, body.subarray(4, 8))}\0`));
    else if (method === 10) await this.#scram(password, target.channelBinding);
    else throw new StartError("authentication error", `unsupported authentication method ${method}`);
  }

  /** RFC 5802 and 7677 without channel binding. */
  async #scram(password: string, channelBinding: boolean): Promise<void> {
    if (channelBinding) throw new StartError("authentication error", "server did not use channel binding");
    const bare = `n=,r=${randomBytes(18).toString("base64")}`;
    const first = Buffer.from(`n,,${bare}`);
    this.#send("p", Buffer.concat([Buffer.from("SCRAM-SHA-256\0"), int32(first.length), first]));
    const challenge = await this.#saslAnswer();
    const [, nonce = "", salt = "", rounds = "0"] = /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(challenge) ?? [];
    const final = `c=biws,r=${nonce}`;
    const salted = pbkdf2Sync(password.normalize("NFKC"), Buffer.from(salt, "base64"), Number(rounds), 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const signature = hmac(createHash("sha256").update(clientKey).digest(), `${bare},${challenge},${final}`);
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))).toString("base64");
    this.#send("p", Buffer.from(`${final},p=${proof}`));
    await this.#saslAnswer();
  }

  async #saslAnswer(): Promise<string> {
    const { type, body } = await this.#receive();
    if (type === "E") throw new PostgresError(readError(body));
    return body.subarray(4).toString();
  }

  #send(type: string, body: Buffer): void {
    this.#socket.write(Buffer.concat([Buffer.from(type), int32(body.length + 4), body]));
  }

  async #receive(): Promise<Message> {
    for (;;) {
      const length = this.#buffer.length >= 5 ? this.#buffer.readInt32BE(1) : Number.POSITIVE_INFINITY;
      if (this.#buffer.length > length) {
        const message = { type: this.#buffer.toString("latin1", 0, 1), body: this.#buffer.subarray(5, length + 1) };
        this.#buffer = this.#buffer.subarray(length + 1);
        return message;
      }
      if (this.#ended) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function dial({ host, port }: PostgresTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error) => reject(new StartError("error connecting to server", causeOf(error))));
  });
}

export function causeOf(error: Error): string {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code: unknown = first?.code;
  if (code === "ECONNREFUSED") return "Connection refused (os error 111)";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return "failed to lookup address information: Name or service not known";
  }
  return error.message;
}

/** Asks for TLS unless it is switched off; a certificate is always checked (contract 1.4). */
async function secure(socket: Socket, target: PostgresTarget, ca: string[]): Promise<Socket> {
  if (target.tls === "disable") return socket;
  socket.write(Buffer.concat([int32(8), int32(80877103)]));
  const answer = await withTimeout(
    new Promise<string>((resolve, reject) => {
      socket.once("data", (bytes) => resolve(bytes.toString("latin1")));
      socket.once("error", reject);
      socket.once("close", () => reject(new StartError("error performing TLS handshake", "connection closed")));
    }),
  );
  socket.removeAllListeners("close").removeAllListeners("error");
  if (answer !== "S") {
    if (target.tls === "prefer") return socket;
    socket.destroy();
    throw new StartError("error performing TLS handshake", "server does not support TLS");
  }
  return new Promise((resolve, reject) => {
    const secured = connectTls({
      socket,
      host: target.host,
      servername: target.host,
      ca: [...rootCertificates, ...ca],
    });
    secured.once("secureConnect", () => resolve(secured));
    secured.once("error", (error) => {
      reject(new StartError("error performing TLS handshake", `invalid peer certificate: ${error.message}`));
    });
  });
}

function readCa(file: string | undefined): string[] {
  if (file === undefined || file === "") return [];
  try {
    const text = readFileSync(file, "utf8");
    return text.includes("-----BEGIN CERTIFICATE-----") ? [text] : [];
  } catch {
    throw new StartError(`Failed to read CA file: ${file}`, "No such file or directory (os error 2)");
  }
}

/** A server that accepts and never answers ends the start after 30 s, whatever `connect_timeout` says. */
async function withTimeout<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(databaseTimeout()), ANSWER_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function databaseTimeout(): StartError {
  return new StartError("Your request couldn't be completed. Try again later.", "Database Timeout (Postgres)");
}

/** `FATAL: text` and, on a second line, the detail. */
function readError(body: Buffer): string {
  const fields = new Map<string, string>();
  for (const part of body.toString().split("\0")) if (part !== "") fields.set(part[0] ?? "", part.slice(1));
  const detail = fields.get("D");
  return `${fields.get("S")}: ${fields.get("M")}${detail === undefined ? "" : `\nDETAIL: ${detail}`}`;
}

function readRow(body: Buffer): (string | null)[] {
  const row: (string | null)[] = [];
  for (let at = 2; at < body.length; ) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return row;
}

function md5Answer(user: string, password: string, salt: Buffer): string {
  const md5 = (...parts: (string | Buffer)[]) => {
    const hash = createHash("md5");
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  };
  return `md5${md5(md5(password, user), salt)}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

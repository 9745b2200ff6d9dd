/**
 * The engine's stream format for containers without a terminal: frames of 8 bytes of head (stream, three zeros,
 * length as a big-endian 32-bit number) and the bytes (Engine API, "Attach to a container", stream format).
 */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which the engine got them. */
  readonly text: string;
}

function isHead(bytes: Buffer, at: number): boolean {
  return (
    at + 8 <= bytes.length &&
    bytes.readUInt8(at) <= 2 &&
    bytes.readUInt8(at + 1) === 0 &&
    bytes.readUInt8(at + 2) === 0 &&
    bytes.readUInt8(at + 3) === 0
  );
}

/** Takes frames apart; bytes that are none (a container with a terminal) are taken as standard output. A cut last frame is kept as far as it goes. */
export function demultiplex(bytes: Buffer): Output {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const all: Buffer[] = [];
  let at = 0;
  while (isHead(bytes, at)) {
    const part = bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at + 4));
    (bytes.readUInt8(at) === 2 ? stderr : stdout).push(part);
    all.push(part);
    at += 8 + part.length;
  }
  if (at < bytes.length && at === 0) {
    stdout.push(bytes);
    all.push(bytes);
  }
  return {
    stdout: String(Buffer.concat(stdout)),
    stderr: String(Buffer.concat(stderr)),
    text: String(Buffer.concat(all)),
  };
}

/** Lines without their ends and without a last empty one. */
export function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** One JSON value a line, as they come; a line that is no JSON is left out. */
export async function* jsonLines(body: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines.flatMap(parsed);
  }
  yield* parsed(rest);
}

function parsed(line: string): unknown[] {
  if (line.trim() === "") return [];
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

/** Document ids: base32 of LEB128 table number, 16 bytes, checksum (contract 7.2). */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

function checksum(bytes: readonly number[]): [number, number] {
  let plain = 0;
  let running = 0;
  for (const byte of bytes) {
    plain = (plain + byte) % 256;
    running = (running + plain) % 256;
  }
  return [plain, running];
}

export function encodeId(table: number, id: Uint8Array): string {
  const head: number[] = [];
  let rest = table;
  for (; rest > 127; rest >>= 7) head.push((rest & 127) | 128);
  head.push(rest);
  const bytes = [...head, ...id];
  const bits = [...bytes, ...checksum(bytes)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let text = "";
  for (let at = 0; at < bits.length; at += 5)
    text += alphabet[Number.parseInt(bits.slice(at, at + 5).padEnd(5, "0"), 2)];
  return text;
}

/** An id with a number in it, so that cases can tell them apart. */
export function madeId(table: number, n: number): string {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, n);
  return encodeId(table, id);
}

export interface DecodedId {
  readonly table: number;
  readonly id: Buffer;
  readonly checksumFits: boolean;
}

export function decodeId(text: string): DecodedId {
  const bits = [...text].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const bytes: number[] = [];
  for (let at = 0; at + 8 <= bits.length; at += 8) bytes.push(Number.parseInt(bits.slice(at, at + 8), 2));
  let table = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[length] ?? 0;
    table |= (byte & 127) << shift;
    length += 1;
    if (byte < 128) break;
  }
  const body = bytes.slice(0, -2);
  const [plain, running] = checksum(body);
  return {
    table,
    id: Buffer.from(body.slice(length)),
    checksumFits: bytes.at(-2) === plain && bytes.at(-1) === running,
  };
}

/** Admin keys, really decrypted: the current format (contract 2.1) and the legacy one (2.2). */
import { createHmac } from "node:crypto";
import { gcmsiv } from "@noble/ciphers/aes.js";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";

export interface AdminKey {
  readonly kind: "admin" | "system";
  readonly readOnly: boolean;
  readonly instanceName: string | undefined;
}

const VERSION = 1;
const NONCE_LENGTH = 12;
const LEGACY_NONCE_LENGTH = 24;

/** 16 bytes for one purpose: SP 800-108 in counter mode, one block (contract 2.1). */
export function derivedKey(secret: Uint8Array, purpose: string): Buffer {
  const counter = Buffer.from([0, 0, 0, 1]);
  return createHmac("sha256", secret).update(counter).update(purpose).digest().subarray(0, 16);
}

/** The key behind the `|`; undefined for every defect. */
export function openAdminKey(
  hex: string,
  secret: Uint8Array,
  options?: { legacyOnly?: boolean },
): AdminKey | undefined {
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) return undefined;
  const sealed = Buffer.from(hex, "hex");
  if (sealed[0] !== VERSION) return undefined;
  const current = options?.legacyOnly === true ? undefined : openCurrent(sealed, secret);
  const plain = current ?? openLegacy(sealed, secret);
  return plain === undefined ? undefined : readMessage(plain);
}

function openCurrent(sealed: Buffer, secret: Uint8Array): Uint8Array | undefined {
  const nonce = sealed.subarray(1, 1 + NONCE_LENGTH);
  const box = sealed.subarray(1 + NONCE_LENGTH);
  return attempt(() => gcmsiv(derivedKey(secret, "admin key"), nonce, Uint8Array.of(VERSION)).decrypt(box));
}

function openLegacy(sealed: Buffer, secret: Uint8Array): Uint8Array | undefined {
  const nonce = sealed.subarray(1, 1 + LEGACY_NONCE_LENGTH);
  const box = sealed.subarray(1 + LEGACY_NONCE_LENGTH);
  return attempt(() => xsalsa20poly1305(secret, nonce).decrypt(box));
}

function attempt(decrypt: () => Uint8Array): Uint8Array | undefined {
  try {
    return decrypt();
  } catch {
    return undefined;
  }
}

/** The protobuf message: who the key is for, when it was issued, member or system, read-only. */
function readMessage(bytes: Uint8Array): AdminKey | undefined {
  const fields = readProtobuf(bytes);
  if (fields === undefined) return undefined;
  const issued = fields.get(2);
  const system = fields.has(4);
  if (typeof issued !== "bigint" || issued === 0n || !(system || fields.has(3))) return undefined;
  const name = fields.get(1);
  return {
    kind: system ? "system" : "admin",
    readOnly: fields.get(5) === 1n,
    instanceName: name instanceof Uint8Array ? Buffer.from(name).toString("utf8") : undefined,
  };
}

/** Fields of a message by number: varints as bigint, length-delimited ones as bytes; undefined when damaged. */
export function readProtobuf(bytes: Uint8Array): Map<number, bigint | Uint8Array> | undefined {
  const fields = new Map<number, bigint | Uint8Array>();
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = varint();
    if (tag === undefined || value === undefined) return undefined;
    const wire = tag & 7n;
    if (wire === 0n) fields.set(Number(tag >> 3n), value);
    else if (wire === 2n) {
      fields.set(Number(tag >> 3n), bytes.subarray(at, at + Number(value)));
      at += Number(value);
      if (at > bytes.length) return undefined;
    } else return undefined;
  }
  return fields;
}

/**
 * Admin keys and upload tokens, made from instance name and secret (contract 2.1, 2.2).
 *
 * Written apart from src/credentials and from the stand-in on purpose: a suite that shared their code could not notice
 * that all of them have the same mistake.
 */
import { createHmac, randomBytes } from "node:crypto";
import { gcmsiv } from "@noble/ciphers/aes.js";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";

export interface KeyFields {
  /** Seconds; the default is now. Zero is invalid on purpose (contract 2.1). */
  readonly issued?: number | bigint;
  /** `null` leaves member and system out, which no backend accepts. */
  readonly member?: number | null;
  readonly system?: boolean;
  readonly readOnly?: boolean;
  /** Field 1, read only when the key has no `name|` prefix. */
  readonly instanceName?: string;
}

export interface Minted {
  readonly name: string;
  readonly secret: string;
  readonly fields?: KeyFields;
  readonly legacy?: boolean;
  readonly purpose?: string;
  readonly nonce?: Uint8Array;
  readonly version?: number;
  /** Without `name|` in front. */
  readonly bare?: boolean;
}

function varint(value: number | bigint): number[] {
  const out: number[] = [];
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return [...out, Number(rest)];
}

/** The protobuf message inside a key, fields in ascending order. */
export function plaintext(fields: KeyFields = {}): Uint8Array {
  const { issued = Math.floor(Date.now() / 1000), member = 0, system, readOnly, instanceName } = fields;
  const name = instanceName === undefined ? [] : [...Buffer.from(instanceName)];
  return Uint8Array.from([
    ...(instanceName === undefined ? [] : [0x0a, ...varint(name.length), ...name]),
    ...(BigInt(issued) === 0n ? [] : [0x10, ...varint(issued)]),
    ...(system ? [0x22, 0] : member === null ? [] : [0x18, ...varint(member)]),
    ...(readOnly ? [0x28, 1] : []),
  ]);
}

/** SP 800-108 in counter mode over one block: the 16 bytes that encrypt tokens of this purpose. */
export function derivedKey(secret: string, purpose = "admin key"): Buffer {
  const data = Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from(purpose)]);
  return createHmac("sha256", Buffer.from(secret, "hex")).update(data).digest().subarray(0, 16);
}

function seal(minted: Minted, message: Uint8Array): string {
  const version = minted.version ?? 1;
  if (minted.legacy) {
    const nonce = minted.nonce ?? randomBytes(24);
    const box = xsalsa20poly1305(Buffer.from(minted.secret, "hex"), nonce).encrypt(message);
    return Buffer.concat([Buffer.from([version]), nonce, box]).toString("hex");
  }
  const nonce = minted.nonce ?? randomBytes(12);
  const cipher = gcmsiv(derivedKey(minted.secret, minted.purpose), nonce, Uint8Array.from([version]));
  return Buffer.concat([Buffer.from([version]), nonce, cipher.encrypt(message)]).toString("hex");
}

/** `name|hex`, or only the hex with `bare`. */
export function mintKey(minted: Minted): string {
  const hex = seal(minted, plaintext(minted.fields));
  return minted.bare ? hex : `${minted.name}|${hex}`;
}

/** The token of an upload URL (contract 2.1 "other purposes", 8.2). */
export function mintUploadToken(name: string, secret: string, issued = Math.floor(Date.now() / 1000)): string {
  const bytes = [...Buffer.from(name)];
  const message = Uint8Array.from([0x0a, ...varint(bytes.length), ...bytes, 0x10, ...varint(issued), 0x1a, 0]);
  return seal({ name, secret, purpose: "store file authorization" }, message);
}

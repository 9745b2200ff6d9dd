/**
 * Issues admin keys in the current format (contract 2.1), and is the program behind `generate_admin_key.sh` (1.2):
 * `generate_key <instance name> <secret> [--member-id N | --system-key]`.
 */
import { randomBytes } from "node:crypto";
import { gcmsiv } from "@noble/ciphers/aes.js";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { derivedKey } from "./admin-keys.ts";
import { checkSecret } from "./boot.ts";
import { StartError } from "./database.ts";
import { varint } from "./protobuf.ts";

const VERSION = Uint8Array.of(1);

export interface KeyKind {
  /** 0: the generic member */
  memberId?: bigint;
  system?: boolean;
  readOnly?: boolean;
  /** The format of before 2025-06, the only one that the first releases know (contract 2.2). */
  legacy?: boolean;
}

/** `<name>|<hex>` */
export function issueKey(instanceName: string, secretHex: string, kind: KeyKind = {}): string {
  const issued = BigInt(Math.floor(Date.now() / 1000));
  const who = kind.system ? [0x22, 0] : [0x18, ...varint(kind.memberId ?? 0n)];
  const plain = Uint8Array.from([0x10, ...varint(issued), ...who, ...(kind.readOnly ? [0x28, 1] : [])]);
  return `${instanceName}|${kind.legacy ? sealLegacy(secretHex, plain) : seal(secretHex, "admin key", plain)}`;
}

/** Encrypts a message for one purpose (contract 2.1 and "Other purposes" there), hex. */
export function seal(secretHex: string, purpose: string, plain: Uint8Array): string {
  const nonce = randomBytes(12);
  const box = gcmsiv(derivedKey(Buffer.from(secretHex, "hex"), purpose), nonce, VERSION).encrypt(plain);
  return Buffer.concat([VERSION, nonce, box]).toString("hex");
}

function sealLegacy(secretHex: string, plain: Uint8Array): string {
  const nonce = randomBytes(24);
  const box = xsalsa20poly1305(Buffer.from(secretHex, "hex"), nonce).encrypt(plain);
  return Buffer.concat([VERSION, nonce, box]).toString("hex");
}

/** Prints a key, or what is wrong with the secret. */
export function printKey(argv: readonly string[]): void {
  const [name, secret, option, value] = argv;
  if (name === undefined || secret === undefined) {
    process.stderr.write("Usage: generate_key <INSTANCE_NAME> <INSTANCE_SECRET> [--member-id N | --system-key]\n");
    process.exitCode = 2;
    return;
  }
  try {
    checkSecret(secret);
    const memberId = option === "--member-id" ? BigInt(value ?? 0) : 0n;
    const legacy = process.env["STANDIN_LIKE"] === "first";
    const kind = { system: option === "--system-key", memberId, legacy };
    process.stdout.write(`${issueKey(name, secret, kind)}\n`);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const [message, ...causes] = error.chain;
    const why = causes.length === 0 ? "" : `\nCaused by:\n${causes.map((cause) => `    ${cause}\n`).join("")}`;
    process.stderr.write(`Error: ${message}\n${why}`);
    process.exitCode = 1;
  }
}

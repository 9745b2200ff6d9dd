import { createHmac, randomBytes } from "node:crypto";
import { gcmsiv } from "@noble/ciphers/aes.js";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { ActionError } from "../runner/errors.ts";

/**
 * `current` is accepted by backends since 2025-05-30, `legacy` by all of them (contract 2.2): a backend that
 * answers 401 to a key of the right name and secret is an older one.
 */
export type KeyFormat = "current" | "legacy";

/** What a backend knows its keys by. */
export interface Instance {
  readonly instanceName: string;
  /** 64 hex digits. */
  readonly instanceSecret: string;
}

export interface KeyRequest extends Instance {
  readonly format?: KeyFormat;
  /** Seconds since the epoch; now when absent. The backend takes any value but 0. */
  readonly issuedSeconds?: number;
  /** 12 bytes (`current`) or 24 (`legacy`); random when absent. Only test vectors give one. */
  readonly nonce?: Uint8Array;
  /** `read-only` and `system` keys serve tests and the doctor; 0 is the member of generic keys. */
  readonly kind?: "admin" | "read-only" | "system";
  readonly memberId?: number;
}

const VERSION = 1;
const PURPOSE = "admin key";

/** A protobuf varint of a non-negative safe integer. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

/** The protobuf message inside a key (contract 2.1); a member id of 0 has to be written, unlike proto3's default. */
function plaintext(request: KeyRequest): Uint8Array {
  const issued = request.issuedSeconds ?? Math.floor(Date.now() / 1000);
  const identity = request.kind === "system" ? [0x22, 0x00] : [0x18, ...varint(request.memberId ?? 0)];
  const readOnly = request.kind === "read-only" ? [0x28, 0x01] : [];
  return Uint8Array.from([0x10, ...varint(issued), ...identity, ...readOnly]);
}

/** SP 800-108 KBKDF in counter mode with HMAC-SHA256, one block, cut to 16 bytes (contract 2.1). */
function deriveKey(secret: Buffer): Uint8Array {
  const block = createHmac("sha256", secret)
    .update(Buffer.from([0, 0, 0, 1]))
    .update(PURPOSE, "ascii")
    .digest();
  return new Uint8Array(block.subarray(0, 16));
}

/** Issues an admin key as the backend's own tools do: `<instance name>|<hex>` (contract 2.1, 2.2). */
export function issueAdminKey(request: KeyRequest): string {
  const secret = Buffer.from(request.instanceSecret, "hex");
  const legacy = request.format === "legacy";
  const nonce = request.nonce ?? new Uint8Array(randomBytes(legacy ? 24 : 12));
  const sealed = legacy
    ? xsalsa20poly1305(new Uint8Array(secret), nonce).encrypt(plaintext(request))
    : gcmsiv(deriveKey(secret), nonce, Uint8Array.of(VERSION)).encrypt(plaintext(request));
  const encrypted = Buffer.concat([Uint8Array.of(VERSION), nonce, sealed]).toString("hex");
  return `${request.instanceName}|${encrypted}`;
}

/** A key as it was given, and its parts. */
export interface AdminKey {
  readonly text: string;
  /** Without a prefix like `prod:` (contract 2). */
  readonly instanceName: string;
  /** The part after `|`, which alone is as good as the whole key. */
  readonly encrypted: string;
}

function malformed(what: string): ActionError {
  return new ActionError(
    "admin-key-malformed",
    `The admin key is not of the form <instance name>|<hex digits>: ${what}.`,
    "Copy the whole line that ./generate_admin_key.sh prints on the server into the secret, without quotes or line breaks.",
  );
}

/**
 * Checks the form of a given key; whether the backend takes it is another matter. The key never shows in the error.
 * White space around it is refused too: the CLI does not trim, and prints a key with a line break inside in clear
 * over two lines, where no mask matches (contract 5.1).
 */
export function parseAdminKey(text: string): AdminKey {
  if (text.trim() === "") throw malformed("it is empty");
  if (/[\r\n]/.test(text))
    throw malformed(text.trim() === text ? "it has a line break inside" : "it ends with a line break");
  if (/\s/.test(text)) throw malformed("it has a blank in it");
  if (/^["'`]|["'`]$/.test(text)) throw malformed("it is in quotes");
  const bar = text.indexOf("|");
  if (bar === -1) throw malformed("there is no | in it");
  const encrypted = text.slice(bar + 1);
  const name = text.slice(0, bar);
  const instanceName = name.slice(name.indexOf(":") + 1);
  if (!/^[\x21-\x7e]+$/.test(instanceName))
    throw malformed("the instance name before the | is missing or not plain ASCII");
  if (!/^[0-9a-fA-F]+$/.test(encrypted)) throw malformed("what follows the | is not made of hex digits only");
  // 1 version byte, 12 nonce bytes, the smallest plaintext of 4 bytes and a tag of 16 (contract 2.1).
  if (encrypted.length % 2 !== 0 || encrypted.length < 66) throw malformed("it was cut off");
  return { text, instanceName, encrypted };
}

/** Whether an instance would take a key: made for its name, and sealed with its secret in either format (contract 2.1, 2.2). */
export function isKeyOf({ instanceName, instanceSecret }: Instance, text: string): boolean {
  const secret = Buffer.from(instanceSecret, "hex");
  try {
    const key = parseAdminKey(text);
    const bytes = new Uint8Array(Buffer.from(key.encrypted, "hex"));
    if (key.instanceName !== instanceName || bytes[0] !== VERSION) return false;
    const current = gcmsiv(deriveKey(secret), bytes.slice(1, 13), Uint8Array.of(VERSION));
    const legacy = xsalsa20poly1305(new Uint8Array(secret), bytes.slice(1, 25));
    return opens(current, bytes.slice(13)) || opens(legacy, bytes.slice(25));
  } catch (defect) {
    if (defect instanceof ActionError) return false;
    throw defect;
  }
}

/** What was sealed with another key has another tag, which is all that a cipher throws for. */
function opens(cipher: { decrypt(sealed: Uint8Array): Uint8Array }, sealed: Uint8Array): boolean {
  try {
    cipher.decrypt(sealed);
    return true;
  } catch {
    return false;
  }
}

/** What must be masked for a key: the whole and the part after `|` (contract 2.4). */
export function adminKeySecrets(text: string): string[] {
  const encrypted = text.slice(text.indexOf("|") + 1);
  return encrypted === text ? [text] : [text, encrypted];
}

/** Pagination cursors: sealed with the instance's secret, void on another instance (contract 1.8). */
import { randomBytes } from "node:crypto";
import { gcmsiv } from "@noble/ciphers/aes.js";
import { derivedKey } from "./admin-keys.ts";
import { FunctionError } from "./types.ts";

const VERSION = 7;
const NONCE_LENGTH = 12;

export class Cursors {
  #name: string;
  #key: Buffer;

  constructor(instance: { name: string; secret: Uint8Array }) {
    this.#name = instance.name;
    this.#key = derivedKey(instance.secret, "cursor");
  }

  /** Hex. */
  seal(position: string): string {
    const nonce = randomBytes(NONCE_LENGTH);
    const plain = Buffer.from(JSON.stringify([this.#name, position]));
    const box = gcmsiv(this.#key, nonce, Uint8Array.of(VERSION)).encrypt(plain);
    return Buffer.concat([Uint8Array.of(VERSION), nonce, box]).toString("hex");
  }

  /** Throws a FunctionError for a cursor that is none of this instance. */
  open(cursor: string): string {
    const [name, position] = this.#decrypt(Buffer.from(cursor, "hex"));
    if (name !== this.#name) throw new FunctionError(`Key is invalid for instance "${this.#name}"`);
    return String(position);
  }

  #decrypt(sealed: Buffer): unknown[] {
    try {
      const nonce = sealed.subarray(1, 1 + NONCE_LENGTH);
      const plain = gcmsiv(this.#key, nonce, Uint8Array.of(VERSION)).decrypt(sealed.subarray(1 + NONCE_LENGTH));
      return JSON.parse(Buffer.from(plain).toString("utf8"));
    } catch {
      throw new FunctionError("Failed to parse cursor");
    }
  }
}

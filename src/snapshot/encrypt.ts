import { hkdfSync, randomBytes } from "node:crypto";
import { Decrypter, Encrypter, identityToRecipient } from "age-encryption";
import { ActionError, messageOf } from "../runner/errors.ts";
import { openPayload, PayloadDamage, sealPayload } from "./age-payload.ts";

/** What follows the header: a nonce, then the payload, which for an empty file is one tag. */
const NONCE_BYTES = 16;
const TAG_BYTES = 16;
/** A header holds about 100 bytes a recipient. */
const LARGEST_HEADER = 256 * 1024;

const HOW_TO =
  "Make a key pair with `age-keygen -o backup-key.txt`, keep the file away from GitHub, and give its public key, which begins with age1.";

function refuseRecipient(what: string): ActionError {
  return new ActionError("recipient-invalid", `recipients: ${what}.`, HOW_TO);
}

function checkRecipient(text: string): string {
  const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
  if (/^AGE-SECRET-KEY-/i.test(text)) {
    throw new ActionError(
      "recipient-invalid",
      "recipients: a secret key stands where a public key belongs. Whoever reads this workflow or its settings can decrypt your backups.",
      "Make a new key pair with `age-keygen`, give only its public key, and take this one out of use.",
    );
  }
  if (/^(ssh-|ecdsa-)/.test(text)) throw refuseRecipient(`${shown} is an SSH key, which is not supported`);
  if (/^age1[a-z0-9]+1/.test(text)) {
    throw refuseRecipient(`${shown} is a key of an age plugin or of a newer kind, which is not supported`);
  }
  if (!text.startsWith("age1")) throw refuseRecipient(`${shown} is no age public key`);
  try {
    new Encrypter().addRecipient(text);
  } catch (error) {
    throw new ActionError(
      "recipient-invalid",
      `recipients: ${shown} is no valid age public key: a character is wrong or missing.`,
      "Copy it again from the key file, the line `# public key: age1…`.",
      { cause: error },
    );
  }
  return text;
}

/**
 * Reads the input `recipients`, one key a line or several separated by blanks or commas.
 * @param lines without comments
 * @throws ActionError `recipient-invalid`
 */
export function parseRecipients(lines: readonly string[]): string[] {
  // An SSH key has blanks of its own.
  const keys = lines.flatMap((line) => (/^(ssh-|ecdsa-)/.test(line) ? [line] : line.split(/[\s,]+/)));
  return [...new Set(keys.filter((key) => key !== "").map(checkRecipient))];
}

/**
 * Reads the input `identity`: the content of a key file, or the secret key alone.
 * @throws ActionError `identity-invalid`; its text shows nothing of the key
 */
export function parseIdentities(text: string): string[] {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const refuse = (what: string): ActionError =>
    new ActionError(
      "identity-invalid",
      `identity ${what}.`,
      "Give the content of the file that `age-keygen` wrote; the key begins with AGE-SECRET-KEY-1.",
    );
  if (lines.length === 0) throw refuse("holds no key");
  for (const line of lines) {
    if (line.startsWith("age1")) throw refuse("is a public key; decrypting needs the secret one");
    if (!line.startsWith("AGE-SECRET-KEY-1")) throw refuse("holds a line that is no age secret key");
    try {
      new Decrypter().addIdentity(line);
    } catch {
      throw refuse("is no valid age secret key: a character is wrong or missing");
    }
  }
  return lines;
}

/** The public keys that belong to secret ones. */
export async function recipientsOf(identities: readonly string[]): Promise<string[]> {
  return await Promise.all(identities.map((identity) => identityToRecipient(identity)));
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", fileKey, nonce, "payload", 32));
}

/** The header for a new file, written by the library, and the key in it. */
async function newHeader(recipients: readonly string[]): Promise<{ header: Buffer; fileKey: Uint8Array }> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  let fileKey: Uint8Array | undefined;
  // One that adds nothing to the header and is told the key like any other.
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  const empty = Buffer.from(await encrypter.encrypt(new Uint8Array(0)));
  if (fileKey === undefined) throw new Error("the age library told no file key");
  return { header: empty.subarray(0, empty.length - NONCE_BYTES - TAG_BYTES), fileKey };
}

/**
 * Encrypts a stream to all recipients, as the `age` command does; memory does not grow with it.
 * @param recipients at least one, as `parseRecipients` returns them
 */
export async function* encrypt(
  source: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Buffer> {
  if (recipients.length === 0) throw new Error("nobody could decrypt this");
  const { header, fileKey } = await newHeader(recipients);
  const nonce = randomBytes(NONCE_BYTES);
  yield Buffer.concat([header, nonce]);
  yield* sealPayload(payloadKey(fileKey, nonce), source);
}

function damaged(what: string, cause?: unknown): ActionError {
  return new ActionError(
    "backup-damaged",
    `The encrypted data is damaged: ${what}.`,
    "Use another backup, and find out who or what changed this one in its store.",
    { cause },
  );
}

/** The header's bytes, which end with the line of its MAC; undefined while they are not complete. */
function headerEnd(bytes: Buffer): number | undefined {
  const mac = bytes.indexOf("\n--- ");
  if (mac < 0) return undefined;
  const end = bytes.indexOf("\n", mac + 1);
  return end < 0 ? undefined : end + 1;
}

async function fileKeyOf(header: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (/no identity matched/.test(messageOf(error))) {
      throw new ActionError(
        "identity-mismatch",
        "The identity does not decrypt this: it was encrypted to other keys.",
        "Give the secret key that belongs to one of the backup's recipients; its manifest names them.",
        { cause: error },
      );
    }
    throw damaged("its header is not as it was written", error);
  }
}

/**
 * Decrypts a stream. Every chunk is proved before it is given out, and the end is proved to be the end.
 * @param identities as `parseIdentities` returns them
 * @throws ActionError `identity-mismatch`, `backup-damaged`
 */
export async function* decrypt(
  source: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let head = Buffer.alloc(0);
    let end: number | undefined;
    while (end === undefined || head.length < end + NONCE_BYTES) {
      const next = await iterator.next();
      if (next.done === true) throw damaged("it ends within its header");
      head = Buffer.concat([head, next.value]);
      if (!head.subarray(0, 4).equals(Buffer.from("age-").subarray(0, head.length))) {
        throw damaged("it does not begin as an age file does");
      }
      end = headerEnd(head);
      if (end === undefined && head.length > LARGEST_HEADER) throw damaged("its header has no end");
    }
    const fileKey = await fileKeyOf(head.subarray(0, end), identities);
    const key = payloadKey(fileKey, head.subarray(end, end + NONCE_BYTES));
    const rest = head.subarray(end + NONCE_BYTES);
    yield* openPayload(key, prepended(rest, iterator));
  } catch (error) {
    throw error instanceof PayloadDamage ? damaged(error.message, error) : error;
  } finally {
    await iterator.return?.();
  }
}

async function* prepended(first: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

import { randomBytes } from "node:crypto";
import { Decrypter, Encrypter, generateHybridIdentity, generateIdentity, identityToRecipient } from "age-encryption";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ActionError } from "../../../src/runner/errors.ts";
import { decrypt, encrypt, parseIdentities, parseRecipients, recipientsOf } from "../../../src/snapshot/encrypt.ts";

const CHUNK = 64 * 1024;
let identity: string;
let recipient: string;

beforeAll(async () => {
  identity = await generateIdentity();
  recipient = await identityToRecipient(identity);
});

/** All in one buffer, as a file is read. */
async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(size, bytes.length));
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
    buffer.fill(0xff);
  }
}

/** Copies, since each part is only good until the next. */
async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

const sealed = (bytes: Uint8Array, size = 100_000): Promise<Buffer> => all(encrypt(inPieces(bytes, size), [recipient]));
const opened = (bytes: Uint8Array, size = 100_000, keys = [identity]): Promise<Buffer> =>
  all(decrypt(inPieces(bytes, size), keys));

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => expect.unreachable("it was accepted"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ActionError);
  return (error as ActionError).code;
}

describe("encryption", () => {
  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 200_000, 16 * CHUNK, 40 * CHUNK + 1])(
    "of %i bytes comes back",
    async (length) => {
      const plain = randomBytes(length);
      const file = await sealed(plain);
      expect((await opened(file)).equals(plain)).toBe(true);
    },
  );

  it("is that of the library, both ways", async () => {
    for (const length of [0, CHUNK, 3 * CHUNK + 5]) {
      const plain = randomBytes(length);
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      expect(Buffer.from(await decrypter.decrypt(await sealed(plain))).equals(plain)).toBe(true);
      const encrypter = new Encrypter();
      encrypter.addRecipient(recipient);
      expect((await opened(await encrypter.encrypt(plain))).equals(plain)).toBe(true);
    }
  });

  it("does not depend on how the stream is cut", async () => {
    const plain = randomBytes(3 * CHUNK);
    const file = await sealed(plain);
    const sizes = fc.integer({ min: 1, max: 2 * CHUNK });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (one, other) => {
        expect((await opened(file, Math.max(one, 200))).equals(plain)).toBe(true);
        expect((await opened(await sealed(plain, Math.max(other, 200)))).equals(plain)).toBe(true);
      }),
      { numRuns: 25 },
    );
    expect((await opened(file.subarray(0, 300), 1).catch((error: ActionError) => error.code)) as unknown).toBe(
      "backup-damaged",
    );
  });

  it("is never twice the same, and any of several keys opens it", async () => {
    const others = [await generateIdentity(), await generateIdentity()];
    const plain = Buffer.from("the same");
    const file = await all(encrypt(inPieces(plain, 9), [recipient, ...(await recipientsOf(others))]));
    for (const one of [identity, ...others]) expect((await opened(file, 50, [one])).equals(plain)).toBe(true);
    const again = await sealed(plain);
    expect(again.equals(await sealed(plain))).toBe(false);
  });

  it("is opened by no other key", async () => {
    const other = await generateIdentity();
    const file = await sealed(Buffer.from("x"));
    expect(await codeOf(opened(file, 99, [other]))).toBe("identity-mismatch");
    expect((await opened(file, 99, [other, identity])).toString()).toBe("x");
  });
});

describe("what was changed on the way is refused", () => {
  const plain = randomBytes(3 * CHUNK + 1000);
  let file: Buffer;
  let payload: number;

  beforeAll(async () => {
    file = await sealed(plain);
    payload = file.length - (plain.length + 4 * 16);
  });

  /** What is given out before the damage is found is what was written. */
  async function refused(changed: Uint8Array): Promise<void> {
    const seen: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const bytes of decrypt(inPieces(changed, 70_000), [identity])) seen.push(bytes);
    };
    expect(await codeOf(read())).toMatch(/^(backup-damaged|identity-mismatch)$/);
    const given = Buffer.concat(seen);
    expect(given.equals(plain.subarray(0, given.length))).toBe(true);
  }

  it("a bit, wherever it is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: file.length - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
        const changed = Buffer.from(file);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        await refused(changed);
      }),
      { numRuns: 60 },
    );
  });

  it("each bit of the header", async () => {
    for (let at = 0; at < payload; at += 1) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await refused(changed.subarray(0, payload + 2000));
    }
  });

  it("the end, wherever it is cut", async () => {
    const sealedChunk = CHUNK + 16;
    const edges = [0, 1, payload - 1, payload, payload + 15, payload + sealedChunk, payload + 3 * sealedChunk];
    for (const length of [...edges, file.length - 16, file.length - 1]) await refused(file.subarray(0, length));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: file.length - 1 }), (length) => refused(file.subarray(0, length))),
      { numRuns: 30 },
    );
  });

  it("data behind the end", async () => {
    await refused(Buffer.concat([file, Buffer.from([0])]));
    await refused(Buffer.concat([file, randomBytes(CHUNK + 16)]));
    await refused(Buffer.concat([file, file.subarray(payload)]));
  });

  it("chunks in another order, one twice, one left out", async () => {
    const size = CHUNK + 16;
    const chunk = (index: number): Buffer => file.subarray(payload + index * size, payload + (index + 1) * size);
    const head = file.subarray(0, payload);
    await refused(Buffer.concat([head, chunk(1), chunk(0), chunk(2), chunk(3)]));
    await refused(Buffer.concat([head, chunk(0), chunk(0), chunk(1), chunk(2), chunk(3)]));
    await refused(Buffer.concat([head, chunk(0), chunk(2), chunk(3)]));
    await refused(Buffer.concat([head, chunk(3)]));
  });

  it("the header of another file", async () => {
    const other = await sealed(plain);
    await refused(Buffer.concat([other.subarray(0, payload), file.subarray(payload)]));
  });

  it("what is no age file at all", async () => {
    for (const text of ["", "PK", "age-encryption.org/v2\n", "x".repeat(500_000), `age-${"y".repeat(500_000)}`]) {
      await refused(Buffer.from(text));
    }
  });
});

describe("recipients", () => {
  it("are one a line or several, each once", () => {
    expect(parseRecipients([recipient, `${recipient}, ${recipient}`])).toEqual([recipient]);
  });

  it("that are something else say so", async () => {
    const secret = await generateIdentity();
    const hybrid = await identityToRecipient(await generateHybridIdentity());
    const wrong = `${recipient.slice(0, -1)}${recipient.endsWith("q") ? "p" : "q"}`;
    const said = (text: string): string => {
      try {
        parseRecipients([text]);
      } catch (error) {
        return (error as ActionError).text;
      }
      return "accepted";
    };
    expect(said("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI ops@example.com")).toMatch(/recipient-invalid.*SSH key/);
    expect(said("age1yubikey1qwerty")).toMatch(/recipient-invalid.*plugin/);
    expect(said(hybrid)).toMatch(/recipient-invalid.*newer kind/);
    expect(said("AGE123")).toMatch(/recipient-invalid.*no age public key/);
    expect(said(wrong)).toMatch(/recipient-invalid.*a character is wrong or missing/);
    expect(said(secret)).toMatch(/recipient-invalid.*secret key stands where a public key belongs/);
    expect(said(secret)).not.toContain(secret.slice(0, 24));
  });
});

describe("identities", () => {
  it("are a key file or a key", () => {
    expect(parseIdentities(`# created: 2026\n# public key: ${recipient}\n${identity}\n`)).toEqual([identity]);
    expect(parseIdentities(identity)).toEqual([identity]);
  });

  it("that are something else say so, and nothing of the key", () => {
    for (const text of ["", "# only a comment", recipient, "hunter2-hunter2", `${identity.slice(0, -1)}!`]) {
      try {
        parseIdentities(text);
        expect.unreachable(text);
      } catch (error) {
        expect((error as ActionError).code).toBe("identity-invalid");
        expect((error as ActionError).text).not.toContain(identity.slice(20, 40));
        expect((error as ActionError).text).not.toContain("hunter2");
      }
    }
  });
});

import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { decrypt, encrypt, parseIdentities, parseRecipients, recipientsOf } from "../../../src/snapshot/encrypt.ts";
import { directoryWith } from "../deployment/support.ts";

// The `age` command itself, which Debian and Homebrew have: what one side writes, the other reads.
const run = promisify(execFile);
const SIZES = [0, 1, 65_535, 65_536, 65_537, 5_000_000];

async function keyIn(
  folder: string,
): Promise<{ readonly file: string; readonly identities: string[]; readonly recipients: string[] }> {
  const file = join(folder, "backup.key");
  await run("age-keygen", ["-o", file]);
  const identities = parseIdentities(await readFile(file, "utf8"));
  const recipients = parseRecipients([(await run("age-keygen", ["-y", file])).stdout.trim()]);
  expect(await recipientsOf(identities)).toEqual(recipients);
  return { file, identities, recipients };
}

it.each(SIZES)("age decrypts what is encrypted here (%i bytes)", async (size) => {
  await using folder = await directoryWith({});
  const { file, recipients } = await keyIn(folder.path);
  const plain = randomBytes(size);
  const path = join(folder.path, "x");
  await writeFile(path, plain);
  await pipeline(encrypt(createReadStream(path), recipients), async (source) => {
    await writeFile(`${path}.age`, source);
  });
  const options = { encoding: "buffer", maxBuffer: 10_000_000 } as const;
  const { stdout } = await run("age", ["-d", "-i", file, `${path}.age`], options);
  expect(stdout.equals(plain)).toBe(true);
});

it.each(SIZES)("what age encrypted is decrypted here (%i bytes)", async (size) => {
  await using folder = await directoryWith({});
  const { identities, recipients } = await keyIn(folder.path);
  const plain = randomBytes(size);
  const path = join(folder.path, "x");
  await writeFile(path, plain);
  await run("age", ["-r", recipients[0] ?? "", "-o", `${path}.age`, path]);
  const parts: Buffer[] = [];
  for await (const part of decrypt(createReadStream(`${path}.age`), identities)) parts.push(part);
  expect(Buffer.concat(parts).equals(plain)).toBe(true);
});

it("to several keys, each opens it", async () => {
  await using one = await directoryWith({});
  await using other = await directoryWith({});
  const keys = [await keyIn(one.path), await keyIn(other.path)];
  const path = join(one.path, "x.age");
  await writeFile(
    path,
    Readable.from(
      encrypt(
        Readable.from([Buffer.from("x")]),
        keys.flatMap(({ recipients }) => recipients),
      ),
    ),
  );
  for (const { file } of keys) expect((await run("age", ["-d", "-i", file, path])).stdout).toBe("x");
});

it("age refuses what was cut off behind a whole chunk, as it is refused here", async () => {
  await using folder = await directoryWith({});
  const { file, identities, recipients } = await keyIn(folder.path);
  const path = join(folder.path, "x.age");
  await writeFile(path, Readable.from(encrypt(Readable.from([randomBytes(200_000)]), recipients)));
  const whole = await readFile(path);
  const header = whole.length - (200_000 + 4 * 16);
  await writeFile(path, whole.subarray(0, header + 2 * (65_536 + 16)));
  await expect(run("age", ["-d", "-i", file, "-o", "/dev/null", path])).rejects.toThrow();
  const read = async (): Promise<void> => {
    for await (const _ of decrypt(createReadStream(path), identities)) {
      // To its end.
    }
  };
  await expect(read()).rejects.toMatchObject({ code: "backup-damaged" });
});

it("a stream of any length passes through, into the command too", async () => {
  await using folder = await directoryWith({});
  const { file, recipients } = await keyIn(folder.path);
  const chunk = randomBytes(1_000_000);
  const source = (async function* () {
    for (let n = 0; n < 60; n += 1) yield chunk;
  })();
  const child = spawn("age", ["-d", "-i", file, "-o", "/dev/null"], { stdio: ["pipe", "ignore", "inherit"] });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  await pipeline(encrypt(source, recipients), child.stdin);
  expect(await ended).toBe(0);
});

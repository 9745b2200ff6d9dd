import { randomBytes, randomInt } from "node:crypto";
import { cp, mkdir, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openBackup } from "../../../src/restore/backup.ts";
import { pickBackup } from "../../../src/restore/pick.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { DirectoryStore } from "../../../src/store/directory.ts";
import type { World } from "./support.ts";

type Corrupt = (folder: string, names: readonly string[], other: string) => Promise<string>;

const pick = <T>(list: readonly T[]): T => list[randomInt(list.length)] as T;

async function flip(path: string): Promise<string> {
  const bytes = await readFile(path);
  const at = randomInt(bytes.length);
  const bit = randomInt(8);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  await writeFile(path, bytes);
  return `bit ${bit} of byte ${at}`;
}

/** What may happen to stored objects: each kind says what it did. */
const KINDS: Readonly<Record<string, Corrupt>> = {
  "a flipped bit": async (folder, names) => {
    const name = pick(names);
    return `${name}: ${await flip(join(folder, name))}`;
  },
  "a cut end": async (folder, names) => {
    const name = pick(names);
    const { length } = await readFile(join(folder, name));
    const to = randomInt(length);
    await truncate(join(folder, name), to);
    return `${name}: ${to} of ${length} bytes`;
  },
  "bytes behind the end": async (folder, names) => {
    const name = pick(names);
    await writeFile(join(folder, name), randomBytes(1 + randomInt(64)), { flag: "a" });
    return name;
  },
  "a lost object": async (folder, names) => {
    const name = pick(names);
    await rm(join(folder, name));
    return name;
  },
  "two objects exchanged": async (folder, names) => {
    const [first = "", second = ""] = [...names].sort(() => randomInt(2) - 0.5);
    await rename(join(folder, first), join(folder, "exchanged"));
    await rename(join(folder, second), join(folder, first));
    await rename(join(folder, "exchanged"), join(folder, second));
    return `${first}, ${second}`;
  },
  "an object of another backup": async (folder, names, other) => {
    const name = pick(names);
    await cp(join(other, name), join(folder, name));
    return name;
  },
  "a zeroed block": async (folder, names) => {
    const name = pick(names);
    const bytes = await readFile(join(folder, name));
    const at = randomInt(bytes.length);
    const before = Buffer.from(bytes);
    bytes.fill(0, at, Math.min(at + 512, bytes.length));
    if (bytes.equals(before)) bytes[at] = 1;
    await writeFile(join(folder, name), bytes);
    return `${name} from byte ${at}`;
  },
};

/** One corruption of a copy, and whether it was found; undefined when it was. */
async function tryOnce(
  world: World,
  backups: readonly [good: string, other: string],
  identities: readonly string[],
): Promise<string | undefined> {
  const [good, other] = backups;
  const root = join(world.directory, `corrupted-${randomBytes(6).toString("hex")}`);
  const id = good.split("/").at(-1) ?? "";
  const folder = join(root, "backups", id);
  const directory = join(root, "private");
  await mkdir(directory, { recursive: true });
  await cp(good, folder, { recursive: true });
  const kind = pick(Object.keys(KINDS));
  const what = (await KINDS[kind]?.(folder, await readdir(good), other)) ?? "";
  try {
    const store = new DirectoryStore(join(root, "backups"), world.deps);
    const manifest = await pickBackup(store, "latest", world.deps.log);
    await openBackup(manifest, { store, identities, directory }, world.deps);
    return `${kind}: ${what}`;
  } catch (error) {
    if (error instanceof ActionError) return undefined;
    return `${kind}: ${what}: not an error for people: ${String(error)}`;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/**
 * Corrupts copies of a backup at random, one thing each.
 * @returns those that nobody noticed
 */
export async function corruptions(
  count: number,
  world: World,
  backups: readonly [good: string, other: string],
  identities: readonly string[],
): Promise<string[]> {
  const missed: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const one = await tryOnce(world, backups, identities);
    if (one !== undefined) missed.push(one);
  }
  return missed;
}

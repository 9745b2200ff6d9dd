import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newBackupId } from "../../../src/backup/id.ts";
import { type Manifest, manifestBytes, timeOf } from "../../../src/backup/manifest.ts";
import { fetchManifest, parseManifest } from "../../../src/backup/manifest-reader.ts";
import { isBackupId } from "../../../src/backup/objects.ts";
import { asRecord } from "../../../src/deployment/json.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import type { Store } from "../../../src/store/store.ts";
import { plainManifest, sampleManifest } from "./support.ts";

const root = resolve(import.meta.dirname, "../../..");
const ID = sampleManifest().id;

function refusal(json: unknown, id = ID): ActionError {
  try {
    parseManifest(Buffer.from(typeof json === "string" ? json : JSON.stringify(json)), id);
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    return error as ActionError;
  }
  return expect.unreachable("it was accepted");
}

type Path = readonly (string | number)[];
const shown = (path: Path): string =>
  path.map((part, at) => (typeof part === "number" ? `[${part}]` : at === 0 ? part : `.${part}`)).join("");

/** A copy in which the value at `path` is another one; `undefined` leaves it out. */
function changed(value: unknown, path: Path, to: unknown): unknown {
  const copy = structuredClone(value);
  const last = path.at(-1) ?? "";
  let at = copy as Record<string | number, unknown>;
  for (const part of path.slice(0, -1)) at = at[part] as Record<string | number, unknown>;
  if (to === undefined) delete at[last];
  else at[last] = to;
  return copy;
}

/** The paths of all members, with those of lists by their first item. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (Array.isArray(value)) return value.length === 0 ? [] : pathsOf(value[0], [...path, 0]);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [[...path, name], ...pathsOf(member, [...path, name])]);
}

describe("a manifest", () => {
  it.each([
    ["encrypted", sampleManifest()],
    ["plain", plainManifest()],
  ])("that is %s comes back as it was written", (_, manifest) => {
    expect(parseManifest(manifestBytes(manifest), ID)).toEqual(manifest);
  });

  it("is refused when any one field is missing, and the field is named", () => {
    for (const path of pathsOf(sampleManifest())) {
      if (["fingerprint"].includes(String(path.at(-1))) && path[0] === "env") continue;
      const error = refusal(changed(sampleManifest(), path, undefined));
      expect(error.code, shown(path)).toBe("manifest-invalid");
      expect(error.message).toContain(shown(path));
    }
  });

  it("is refused when any one field has another type, and the field is named", () => {
    for (const path of pathsOf(sampleManifest())) {
      for (const wrong of [null, { a: 1 }, -1, 1.5, "", [7]]) {
        const value = changed(sampleManifest(), path, wrong);
        const harmless = [
          // Free texts may be empty, and there may be no storage.
          wrong === "" && ["component", "where", "message"].includes(String(path.at(-1))),
          wrong === null && shown(path) === "snapshot.storage",
        ];
        if (harmless.includes(true)) continue;
        const error = refusal(value);
        expect(error.code, `${shown(path)} = ${JSON.stringify(wrong)}`).toBe("manifest-invalid");
        expect(error.message.replace(/\[\d+\]/g, "[0]"), `${JSON.stringify(wrong)}`).toContain(shown(path));
      }
    }
  });

  it.each<[string, Path, unknown]>([
    ["the sum of the tables", ["snapshot", "documents"], 4],
    ["an object of another snapshot", ["snapshot", "sha256"], "9".repeat(64)],
    ["objects without the snapshot", ["objects"], [sampleManifest().objects[1]]],
    ["an object named twice", ["objects", 1, "name"], "snapshot.zip.age"],
    ["an object without encryption", ["objects", 1, "name"], "snapshot.zip"],
    ["an object outside", ["objects", 1, "name"], "../env.json.age"],
    ["no encryption of encrypted objects", ["encryption"], { method: "none" }],
    ["no recipients", ["encryption", "recipients"], []],
    ["a table's prototype", ["snapshot", "tables", 0], "__proto__"],
    ["a number that is none", ["snapshot", "bytes"], "2000"],
    ["a time that is none", ["startedAt"], "2026-13-22T03:00:04.120Z"],
    ["too many tables", ["snapshot", "tables"], Array(200_001).fill(0)],
    ["too long a text", ["instance", "name"], "x".repeat(10_000)],
  ])("is refused with %s", (_, path, value) => {
    expect(refusal(changed(sampleManifest(), path, value)).code).toBe("manifest-invalid");
  });

  it("of a newer version says what to do, whatever else it holds", () => {
    const error = refusal({ version: 2, everything: "else" });
    expect(error.text).toMatch(/manifest-newer.*has version 2, and this one knows 1.*newer one/);
    expect(refusal({ version: 0 }).code).toBe("manifest-invalid");
  });

  it("of another backup is refused", () => {
    expect(refusal(sampleManifest(), "2026-11-22T03-00-04Z-00000000").message).toContain(
      "id is that of another backup",
    );
  });

  it("that is no JSON, or too large, is refused", () => {
    for (const text of ["", "null", "[]", "7", "{", "\ufeff{}"]) expect(refusal(text).code).toBe("manifest-invalid");
    expect(refusal(" ".repeat(33 * 1024 * 1024)).message).toContain("larger than");
  });

  it("never makes the reader fail otherwise", () => {
    const good = sampleManifest();
    fc.assert(
      fc.property(fc.constantFrom(...pathsOf(good)), fc.jsonValue(), (path, value) => {
        try {
          parseManifest(Buffer.from(JSON.stringify(changed(good, path, value))), ID);
        } catch (error) {
          expect(error).toBeInstanceOf(ActionError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("has fields that a later version adds, which are let pass", () => {
    expect(parseManifest(Buffer.from(JSON.stringify({ ...sampleManifest(), region: "eu" })), ID)).toEqual(
      sampleManifest(),
    );
  });
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
}

/** Paths of all members that a schema knows, and whether each is required. */
function schemaPaths(schema: Schema, path = ""): (readonly [string, boolean])[] {
  const inner = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
      const at = path === "" ? name : `${path}.${name}`;
      return [[at, schema.required?.includes(name) === true] as const, ...schemaPaths(member, at)];
    }),
    ...(schema.items === undefined ? [] : schemaPaths(schema.items, `${path}[0]`)),
    ...(schema.oneOf ?? []).flatMap((one) => schemaPaths(one, path)),
  ];
  return [...new Map(inner).entries()];
}

describe("docs/backup-manifest.schema.json", () => {
  const read = async (): Promise<Schema> =>
    JSON.parse(await readFile(join(root, "docs/backup-manifest.schema.json"), "utf8")) as Schema;

  it("knows exactly the fields of a manifest", async () => {
    const known = schemaPaths(await read()).map(([path]) => path);
    expect(known.sort()).toEqual(pathsOf(sampleManifest()).map(shown).sort());
  });

  it("requires exactly what the reader requires", async () => {
    const optional = schemaPaths(await read()).filter(([, required]) => !required);
    expect(optional.map(([path]) => path)).toEqual(["env.variables[0].fingerprint"]);
  });

  it.each(["encrypted", "plain"])(
    "is what the %s example in test/fixtures/backups is checked against",
    async (name) => {
      const text = await readFile(join(root, "test/fixtures/backups", `${name}.manifest.json`), "utf8");
      expect(JSON.parse(text)).toEqual(name === "plain" ? plainManifest() : sampleManifest());
    },
  );
});

describe("a backup's id", () => {
  it("is the time and something random", () => {
    const id = newBackupId(new Date("2026-11-22T03:00:04.999Z"));
    expect(id).toMatch(/^2026-11-22T03-00-04Z-[0-9a-f]{8}$/);
    expect(isBackupId(id)).toBe(true);
    expect(newBackupId(new Date("2026-11-22T03:00:04.999Z"))).not.toBe(id);
    for (const other of ["", "latest", `${id}/x`, `../${id}`, id.toUpperCase()]) expect(isBackupId(other)).toBe(false);
  });
});

describe("a stored manifest", () => {
  const storeWith = (bytes: Iterable<Uint8Array>): Store =>
    ({
      get: async function* () {
        yield* bytes;
      },
    }) as unknown as Store;

  it("is fetched", async () => {
    const manifest: Manifest = sampleManifest();
    expect(await fetchManifest(storeWith([manifestBytes(manifest)]), ID)).toEqual(manifest);
  });

  it("in which any bit of any text was changed is refused", async () => {
    const good = manifestBytes(sampleManifest());
    const at = good.indexOf("2026-09-28-5c7cb5b");
    const flipped = Buffer.from(good);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await expect(fetchManifest(storeWith([flipped]), ID)).rejects.toThrow(/checksum/);
    const without = Buffer.from(JSON.stringify(sampleManifest()));
    await expect(fetchManifest(storeWith([without]), ID)).rejects.toThrow(/checksum/);
  });

  it("that never ends is not read into memory", async () => {
    const endless = (function* () {
      for (;;) yield Buffer.alloc(1024 * 1024, " ");
    })();
    await expect(fetchManifest(storeWith(endless), ID)).rejects.toThrow(/larger than/);
    await expect(fetchManifest(storeWith([]), "../../etc")).rejects.toThrow(/its name is not that of a backup/);
  });
});

describe("a snapshot's time", () => {
  it("is that of its timestamp", () => {
    expect(timeOf("1795409831284000000")).toBe("2026-11-23T04:57:11.284Z");
  });
  it("is told by the sample", () => {
    expect(asRecord(JSON.parse(manifestBytes(sampleManifest()).toString()))["version"]).toBe(1);
  });
});

import { describe, expect, it } from "vitest";
import type { Store } from "../../../src/store/store.ts";
import { bytesOf, read, streamOf } from "./support.ts";

export interface Subject {
  readonly store: Store;
  /** Another handle on the same place, as a second job has it. */
  readonly other: Store;
}

export interface Traits {
  /** Bytes around which this store does something else: the size of a part. */
  readonly boundary: number;
}

const ID = "2026-11-22T03-00-04Z-0123abcd";
const OTHER = "2026-11-23T03-00-04Z-89abcdef";

/** What every store promises. `open` gives an empty place of its own for each case. */
export function conformance(name: string, { boundary }: Traits, open: () => Promise<Subject>): void {
  describe(`${name}: the promises of every store`, () => {
    it.each([0, 1, boundary - 1, boundary, boundary + 1, 3 * boundary + 17])(
      "gives back the %i bytes it got",
      async (size) => {
        const { store, other } = await open();
        const bytes = bytesOf(size);
        const key = `${ID}/snapshot.zip`;
        const before = Date.now();
        const put = await store.put(key, streamOf(bytes, 1021));
        expect(put).toMatchObject({ key, bytes: size });
        expect(Math.abs(put.modified.getTime() - before)).toBeLessThan(60_000);
        expect((await read(other.get(key))).equals(bytes)).toBe(true);
        expect(await other.stat(key)).toMatchObject({ key, bytes: size });
        expect(await other.list()).toMatchObject([{ key, bytes: size }]);
      },
    );

    it("takes bytes that are there already as it takes a stream", async () => {
      const { store } = await open();
      await store.put(`${ID}/manifest.json`, Buffer.from("{}"));
      expect((await read(store.get(`${ID}/manifest.json`))).toString()).toBe("{}");
    });

    it("takes a stream of one chunk larger than everything", async () => {
      const { store } = await open();
      const bytes = bytesOf(2 * boundary + 5);
      await store.put(`${ID}/snapshot.zip`, streamOf(bytes, bytes.length));
      expect((await read(store.get(`${ID}/snapshot.zip`))).equals(bytes)).toBe(true);
    });

    it.each([10, 2 * boundary + 3])("never overwrites (%i bytes)", async (size) => {
      const { store, other } = await open();
      const key = `${ID}/snapshot.zip`;
      const first = bytesOf(size, 1);
      await store.put(key, streamOf(first, 4096));
      const again = other.put(key, streamOf(bytesOf(size, 2), 4096));
      await expect(again).rejects.toMatchObject({ code: "store-exists", message: expect.stringContaining(key) });
      expect((await read(other.get(key))).equals(first)).toBe(true);
    });

    it.each([10, 2 * boundary + 3])("lets exactly one of two writers win (%i bytes)", async (size) => {
      const { store, other } = await open();
      const key = `${ID}/snapshot.zip`;
      const bodies = [bytesOf(size, 1), bytesOf(size, 2)] as const;
      const results = await Promise.allSettled([
        store.put(key, streamOf(bodies[0], 4096)),
        other.put(key, streamOf(bodies[1], 4096)),
      ]);
      const winners = results.filter(({ status }) => status === "fulfilled");
      expect(winners).toHaveLength(1);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "store-exists" });
      }
      const winner = bodies[results.findIndex(({ status }) => status === "fulfilled")];
      expect((await read(store.get(key))).equals(winner ?? Buffer.of())).toBe(true);
    });

    it("lists what is below a prefix, sorted, and nothing else", async () => {
      const { store } = await open();
      const keys = [`${OTHER}/manifest.json`, `${ID}/snapshot.zip.age`, `${ID}/manifest.json`, `${ID}/env.json.age`];
      for (const key of keys) await store.put(key, Buffer.from(key));
      const keysOf = async (prefix?: string): Promise<string[]> => (await store.list(prefix)).map(({ key }) => key);
      expect(await keysOf()).toEqual([...keys].sort());
      expect(await keysOf(`${ID}/`)).toEqual([`${ID}/env.json.age`, `${ID}/manifest.json`, `${ID}/snapshot.zip.age`]);
      expect(await keysOf("2027-")).toEqual([]);
    });

    it("says that an object is missing, and makes no error of removing it", async () => {
      const { store } = await open();
      await store.put(`${OTHER}/manifest.json`, Buffer.from("{}"));
      await expect(read(store.get(`${ID}/manifest.json`))).rejects.toMatchObject({
        code: "store-missing",
        message: expect.stringContaining(`${ID}/manifest.json`),
      });
      expect(await store.stat(`${ID}/manifest.json`)).toBeUndefined();
      await store.remove([`${ID}/manifest.json`]);
      expect(await store.list()).toHaveLength(1);
    });

    it("removes what it is told to, and nothing beside it", async () => {
      const { store, other } = await open();
      for (const key of [`${ID}/manifest.json`, `${ID}/snapshot.zip`, `${OTHER}/manifest.json`]) {
        await store.put(key, Buffer.from(key));
      }
      await other.remove([`${ID}/manifest.json`, `${ID}/snapshot.zip`]);
      expect((await store.list()).map(({ key }) => key)).toEqual([`${OTHER}/manifest.json`]);
    });

    it.each([0, boundary + 1])("leaves nothing when its source fails after %i bytes", async (after) => {
      const { store } = await open();
      await store.put(`${OTHER}/manifest.json`, Buffer.from("{}"));
      const fault = new Error("the download was cut");
      const body = streamOf(bytesOf(3 * boundary), 4096, {
        bytes: after,
        run: () => {
          throw fault;
        },
      });
      await expect(store.put(`${ID}/snapshot.zip`, body)).rejects.toBe(fault);
      expect(await store.list(`${ID}/`)).toEqual([]);
      await expect(read(store.get(`${ID}/snapshot.zip`))).rejects.toMatchObject({ code: "store-missing" });
      expect(await store.removeUnfinished(-60_000)).toBe(0);
    });

    it.each([0, boundary + 1])("leaves nothing when it is cancelled after %i bytes", async (after) => {
      const { store } = await open();
      await store.put(`${OTHER}/manifest.json`, Buffer.from("{}"));
      const abort = new AbortController();
      const reason = new Error("cancelled");
      // From there on the source is silent: only the signal can end it.
      const body = streamOf(bytesOf(3 * boundary), 4096, {
        bytes: after,
        run: () => {
          abort.abort(reason);
          return new Promise(() => undefined);
        },
      });
      await expect(store.put(`${ID}/snapshot.zip`, body, { signal: abort.signal })).rejects.toBe(reason);
      expect(await store.list(`${ID}/`)).toEqual([]);
      expect(await store.removeUnfinished(-60_000)).toBe(0);
    });

    it("begins nothing under a signal that is over", async () => {
      const { store } = await open();
      const signal = AbortSignal.abort(new Error("over"));
      await expect(store.put(`${ID}/manifest.json`, Buffer.from("{}"), { signal })).rejects.toThrow("over");
    });

    it("ends a download by its signal", async () => {
      const { store } = await open();
      const key = `${ID}/snapshot.zip`;
      await store.put(key, bytesOf(3 * boundary));
      const abort = new AbortController();
      const download = (async () => {
        for await (const _ of store.get(key, { signal: abort.signal })) abort.abort(new Error("enough"));
      })();
      await expect(download).rejects.toThrow("enough");
    });

    it.each(["", "/x", "../x", "a/../../x", "a//b", ".hidden", "a/.unfinished-0", "a\\b", "a\nb", "a/", "ü"])(
      "refuses the key %j, as a defect of ours",
      async (key) => {
        const { store } = await open();
        await expect(store.put(key, Buffer.of())).rejects.toMatchObject({ code: "internal" });
        await expect(read(store.get(key))).rejects.toMatchObject({ code: "internal" });
        await expect(store.remove([key])).rejects.toMatchObject({ code: "internal" });
      },
    );
  });
}

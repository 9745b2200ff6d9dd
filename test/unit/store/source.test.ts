import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { chunksOf, SourceFailure } from "../../../src/store/source.ts";

it("holds on to no chunk that has passed, however long the signal lives", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const refs: WeakRef<Uint8Array>[] = [];
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < 200; n += 1) {
      const chunk = new Uint8Array(1024);
      refs.push(new WeakRef(chunk));
      yield chunk;
    }
  }
  let alive = 0;
  for await (const _ of chunksOf(body(), new AbortController().signal)) {
    if (refs.length < 200) continue;
    // A WeakRef that was made or read holds its target until the end of this turn of the loop.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    alive = refs.filter((ref) => ref.deref() !== undefined).length;
  }
  expect(refs).toHaveLength(200);
  expect(alive).toBeLessThan(10);
});

it("tells its source that no more is wanted", async () => {
  let told = false;
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.from("x");
    } finally {
      told = true;
    }
  }
  for await (const _ of chunksOf(body())) break;
  expect(told).toBe(true);
});

it("wraps what its source throws, so that it is not taken for the store's", async () => {
  const fault = new Error("cut");
  // biome-ignore lint/correctness/useYield: it fails before its first chunk
  async function* body(): AsyncGenerator<Uint8Array> {
    throw fault;
  }
  const failure = await (async () => {
    for await (const _ of chunksOf(body())) break;
  })().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(SourceFailure);
  expect((failure as Error).cause).toBe(fault);
});

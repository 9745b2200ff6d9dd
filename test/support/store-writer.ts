/**
 * Writes one object into a store, as a job does that a test kills: `node store-writer.ts <settings as JSON>`. Prints
 * `writing` when it begins and `done` when the object is there.
 */

import { DirectoryStore } from "../../src/store/directory.ts";
import { S3Store } from "../../src/store/s3.ts";
import type { S3Settings } from "../../src/store/s3-client.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemHttp } from "../../src/system/http.ts";

export interface WriterSettings {
  readonly directory?: string;
  readonly s3?: S3Settings;
  readonly key: string;
  readonly bytes: number;
  /** Between two chunks of 64 KiB. */
  readonly pauseMs: number;
}

const settings = JSON.parse(process.argv[2] ?? "{}") as WriterSettings;
const quiet = (): void => undefined;
const deps = {
  clock: systemClock,
  http: systemHttp,
  env: process.env,
  log: {
    debug: quiet,
    info: quiet,
    notice: quiet,
    warning: quiet,
    foreign: quiet,
    mask: quiet,
    group: <T>(_: string, work: () => Promise<T>) => work(),
  },
};

async function* body(): AsyncGenerator<Uint8Array> {
  process.stdout.write("writing\n");
  for (let left = settings.bytes; left > 0; left -= 65_536) {
    yield Buffer.alloc(Math.min(left, 65_536), 7);
    if (settings.pauseMs > 0) await systemClock.sleep(settings.pauseMs);
  }
}

const MIB = 1024 * 1024;
const store =
  settings.s3 === undefined
    ? new DirectoryStore(settings.directory ?? "", deps)
    : new S3Store(settings.s3, deps, { sizes: { first: 5 * MIB, even: 2, later: 6 * MIB }, parallel: 2 });
await store.put(settings.key, body());
process.stdout.write("done\n");
process.exit();

import { expect, it } from "vitest";
import { PullProgress } from "../../../../src/backend/docker/progress.ts";
import { testDeps } from "./support.ts";

it("tells amount, rate and time left, at most every five seconds", async () => {
  const deps = testDeps();
  const progress = new PullProgress("r/a:1", deps);
  const downloading = (id: string, current: number): void =>
    progress.take({ id, status: "Downloading", progressDetail: { current, total: 100e6 } });
  downloading("l1", 1e6);
  await deps.clock.sleep(4_900);
  downloading("l1", 10e6);
  expect(deps.lines).toEqual([]);
  await deps.clock.sleep(5_100);
  downloading("l2", 10e6);
  await deps.clock.sleep(4_000);
  downloading("l2", 50e6);
  await deps.clock.sleep(1_000);
  progress.take({ id: "l2", status: "Download complete" });
  progress.take({ id: "l1", status: "Pull complete" });
  await deps.clock.sleep(5_000);
  progress.take({ id: "l1", status: "Extracting", progressDetail: { current: 1, total: 2 } });
  expect(deps.lines.map(({ message }) => message)).toEqual([
    "Pulling r/a:1: 20 MB of 200 MB, 2.0 MB/s, 90 s left",
    "Pulling r/a:1: 110 MB of 200 MB, 7.3 MB/s, 13 s left",
    "Pulling r/a:1: 200 MB downloaded, unpacking",
  ]);
});

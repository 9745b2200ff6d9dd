import { expect, it } from "vitest";
import { KillScene } from "./restore-kills.ts";

const KILLS = 200;

it(`${KILLS} kills at random moments: the target holds old or new data, runs, and is told of`, async () => {
  await using scene = await KillScene.create();
  let killed = 0;
  let longest = 1500;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const afterMs = Math.floor(Math.random() * longest);
    if (await scene.killOnce(afterMs)) killed += 1;
    else longest = Math.max(200, Math.min(longest, afterMs * 1.2));
  }
  console.log(`${killed} of ${KILLS} were killed before their end; window ${longest.toFixed(0)} ms`);
  expect(killed).toBeGreaterThan(KILLS / 2);
  await scene.clean();
}, 3_600_000);

import { expect, it } from "vitest";
import { KillScene } from "./restore-kills.ts";

/** `KILLS=40 npm run test:long -- test/dist/...` for a shorter look. */
const KILLS = Number(process.env["KILLS"] ?? 200);

it(`${KILLS} kills at random moments: the target holds old or new data, runs, and is told of`, async () => {
  await using scene = await KillScene.create();
  let killed = 0;
  let longest = 1500;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const afterMs = Math.floor(Math.random() * longest);
    const by = kill % 3 === 0 ? "connection" : "key";
    if (await scene.killOnce({ when: "found", afterMs, by })) killed += 1;
    else longest = Math.max(200, Math.min(longest, afterMs * 1.2));
    if (kill % 20 === 19) console.log(`${kill + 1} tried, ${killed} of them killed before their end`);
  }
  console.log(`${killed} of ${KILLS} were killed before their end; window ${longest.toFixed(0)} ms`);
  expect(killed).toBeGreaterThan(KILLS / 2);
  await scene.clean();
}, 3_600_000);

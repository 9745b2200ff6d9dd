import { afterAll, beforeAll, expect, it } from "vitest";
import { killOnce } from "./backup-kills.ts";
import { BackupScene } from "./backup-support.ts";

let scene: BackupScene;
beforeAll(async () => {
  scene = await BackupScene.create(8, { STANDIN_EXPORT_DELAY_MS: "30", STANDIN_RETRY_MS: "5" });
});
afterAll(() => scene[Symbol.asyncDispose]());

/** `KILLS=40 npm run test:long -- test/dist/...` for a shorter look. */
const KILLS = Number(process.env["KILLS"] ?? 200);

it(`${KILLS} kills at random moments: no half backup is taken for one, and nothing is left`, async () => {
  let killed = 0;
  let longest = 1500;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const afterMs = Math.floor(Math.random() * longest);
    if (await killOnce(scene, afterMs)) killed += 1;
    else longest = Math.max(200, Math.min(longest, afterMs * 1.2));
    if (kill % 20 === 19) console.log(`${kill + 1} tried, ${killed} of them killed before their end`);
  }
  console.log(`${killed} of ${KILLS} were killed before their end; window ${longest.toFixed(0)} ms`);
  expect(killed).toBeGreaterThan(KILLS / 2);
  const { main } = await scene.run({ inputs: { destination: "dir:backups" } });
  expect(main.exitCode, main.log).toBe(0);
}, 3_600_000);

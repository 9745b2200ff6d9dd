import { afterAll, beforeAll, expect, it } from "vitest";
import { ANY_MOMENT, type KillPlan, killOnce, runClean, WHILE_PRUNING } from "./backup-kills.ts";
import { BackupScene } from "./backup-support.ts";

let scene: BackupScene;
beforeAll(async () => {
  scene = await BackupScene.create(8, { STANDIN_EXPORT_DELAY_MS: "30", STANDIN_RETRY_MS: "5" });
});
afterAll(() => scene[Symbol.asyncDispose]());

/** `KILLS=40 npm run test:long -- test/dist/...` for a shorter look. */
const KILLS = Number(process.env["KILLS"] ?? 200);

it.each<[string, KillPlan, number, number]>([
  ["random moments", ANY_MOMENT, KILLS, 1500],
  ["moments while older backups are removed", WHILE_PRUNING, Math.ceil(KILLS / 4), 100],
])(
  "kills at %s: no half backup is taken for one, none that is wanted is lost, and nothing is left",
  async (_, plan, kills, window) => {
    let killed = 0;
    let longest = window;
    for (let kill = 0; kill < kills; kill += 1) {
      const afterMs = Math.floor(Math.random() * longest);
      if (await killOnce(scene, afterMs, plan)) killed += 1;
      else longest = Math.max(window / 8, Math.min(longest, afterMs * 1.2));
      if (kill % 20 === 19) console.log(`${kill + 1} tried, ${killed} of them killed before their end`);
    }
    console.log(`${killed} of ${kills} were killed before their end; window ${longest.toFixed(0)} ms`);
    expect(killed).toBeGreaterThan(kills / 2);
    await runClean(scene, plan);
  },
  3_600_000,
);

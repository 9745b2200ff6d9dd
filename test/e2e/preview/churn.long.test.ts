/** Thirty pull requests, opened, pushed to and closed in random order, with jobs killed at random moments. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { churn } from "./churn.ts";
import { type PreviewHost, startHost } from "./world.ts";

const numbers = Array.from({ length: 30 }, (_, index) => index + 1);
let host: PreviewHost;
beforeAll(async () => {
  host = await startHost(numbers);
}, 120_000);
afterAll(async () => {
  await host.stop();
});

it("leaves exactly the previews of open pull requests", async () => {
  const seed = Number(process.env["CHURN_SEED"] ?? Date.now());
  process.stdout.write(`CHURN_SEED=${seed}\n`);
  const steps = Number(process.env["CHURN_STEPS"] ?? "120");
  expect(await churn({ host, numbers, steps, seed, atOnce: 3 })).not.toEqual([]);
}, 3_600_000);

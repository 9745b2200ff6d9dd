/** Cancelled jobs, a few rounds; churn.long.test.ts has many. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { churn } from "./churn.ts";
import { type PreviewHost, startHost } from "./world.ts";

const numbers = [1, 2, 3];
let host: PreviewHost;
beforeAll(async () => {
  host = await startHost(numbers);
}, 120_000);
afterAll(async () => {
  await host.stop();
});

it("leaves exactly the previews of open pull requests, whenever jobs are killed, and what is of others", async () => {
  // Of this seed an opening, a push and a closing are killed, and one pull request stays closed.
  const seed = Number(process.env["CHURN_SEED"] ?? "147");
  expect(await churn({ host, numbers, steps: 6, seed, atOnce: 2 })).not.toEqual([]);
}, 480_000);

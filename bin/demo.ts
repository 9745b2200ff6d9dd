/**
 * The main job without GitHub: the root action's own bundle on examples/chat, with the stand-in backend (a test double)
 * in place of a real one, then the app's end-to-end tests, then the post step.
 *
 *     npm run demo                          the stand-in: no Docker, no network
 *     npm run demo -- --runtime docker      the real image, pulled
 *     npm run demo -- --runtime binary      the real release binary, downloaded
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildStandin } from "../test/standin/bundle.ts";
import { Job, readable, root } from "../test/support/job.ts";

const { values } = parseArgs({ options: { runtime: { type: "string", default: "standin" } } });
if (!["standin", "docker", "binary"].includes(values.runtime)) {
  throw new Error(`--runtime: ${values.runtime} is not accepted. Allowed: standin, docker, binary.`);
}
const standin = values.runtime === "standin";
const say = (text: string): boolean => process.stdout.write(`${text}\n`);

const app = join(root, "examples", "chat");
const job = await Job.create(app);
let exitCode = 1;
try {
  const inputs = {
    ...(standin
      ? { runtime: "binary", "binary-path": await buildStandin(join(job.directory, "standin")) }
      : { runtime: values.runtime }),
    port: "0",
    "site-port": "0",
    env: 'GREETING="two\nlines"',
    "env-names": "OPENAI_API_KEY",
    auth: "convex-auth",
    "app-url": "http://localhost:5173",
    "url-variables": "VITE_CONVEX_URL",
    run: 'seed:basic {"rooms": 3}',
  };
  say(standin ? "Backend: the stand-in, a test double. --runtime docker or binary takes the real one.\n" : "");
  say("── main step ──");
  const masks: string[] = [];
  const onLine = (line: string): void => {
    const mask = /^::add-mask::(.*)$/.exec(line)?.[1];
    if (mask !== undefined) masks.push(mask);
    const text = readable(line, masks);
    if (text !== undefined) say(text);
  };
  const main = await job.action("start", { inputs, env: { OPENAI_API_KEY: "sk-demo-0123456789" }, onLine });
  if (main.exitCode === 0) {
    say("\n── the app's own tests, in the environment that the action left ──");
    const tests = spawnSync(process.execPath, ["--test", "--test-reporter=spec", "test/e2e.test.mjs"], {
      cwd: app,
      env: job.environment(),
      stdio: "inherit",
    });
    exitCode = tests.status ?? 1;
  }
  say("\n── post step ──");
  const post = await job.action("stop", { inputs: { "job-status": exitCode === 0 ? "success" : "failure" }, onLine });
  if (post.exitCode !== 0) exitCode = post.exitCode;
  say("\n── job summary ──");
  say(main.summary);
} finally {
  await job.remove();
}
process.exit(exitCode);

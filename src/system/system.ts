import { jobLog } from "../runner/log.ts";
import { systemClock } from "./clock.ts";
import type { Deps } from "./deps.ts";
import { systemExec } from "./exec.ts";
import { systemHttp } from "./http.ts";

/** The machine that the action runs on. */
export const systemDeps: Deps = {
  exec: systemExec,
  http: systemHttp,
  clock: systemClock,
  log: jobLog,
  env: process.env,
  platform: process.platform,
  arch: process.arch,
};

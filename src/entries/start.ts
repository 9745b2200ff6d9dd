// Somebody watches the log: the first line comes before anything that takes time to load.
process.stdout.write("Preparing a Convex backend.\n");

// The step began with this process, not with this line.
const startedAt = Math.round(performance.timeOrigin);
const [{ inputsOf }, { runAction }, { start }, { systemDeps }] = await Promise.all([
  import("../runner/inputs.ts"),
  import("../runner/run.ts"),
  import("../start/start.ts"),
  import("../system/system.ts"),
]);
await runAction(() => start(inputsOf(process.env), systemDeps, startedAt));

export {};

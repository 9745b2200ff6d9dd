import { describe, expect } from "vitest";
import { expectNothingLeft, runtimes, start, test } from "./support.ts";

describe.each(["docker", "binary"] as const)("with %s", (runtime) => {
  test("two backends work in one job", async ({ before }) => {
    const run = await start(runtimes[runtime](), { workflow: "two-backends.yml" });
    expect(run.exitCode, run.log).toBe(0);
    const lists = run
      .output("count")
      .match(/\["Room 1".*\]/g)
      ?.map((line) => (JSON.parse(line) as string[]).length);
    expect(lists).toEqual([2, 5]);
    expect(run.outputs("second")["url"]).not.toBe(run.outputs("first")["url"]);
    await expectNothingLeft(run, before);
  });

  test("four jobs work at once on one machine", async ({ before }) => {
    const run = await start(runtimes[runtime](), { workflow: "matrix.yml" });
    expect(run.exitCode, run.log).toBe(0);
    expect(run.results("count")).toEqual(["success", "success", "success", "success"]);
    expect(run.results("convex", "Post")).toEqual(["success", "success", "success", "success"]);
    await expectNothingLeft(run, before);
  });

  test("a second backend on the same port names the step that holds it", async ({ before }) => {
    const run = await start(runtimes[runtime](), { workflow: "same-port.yml" });
    expect(run.errorCode, run.log).toBe("port-taken");
    expect(run.error).toContain("first");
    await expectNothingLeft(run, before);
  });
});

import { describe, expect, it } from "vitest";
import { ActionError } from "../../../src/runner/errors.ts";
import { readStartInputs, type StartInputs } from "../../../src/start/inputs.ts";
import { chooseRuntime } from "../../../src/start/launch.ts";
import { asPlaceError } from "../../../src/start/prepare.ts";
import { fakeEngine } from "../backend/docker/support.ts";
import { machine } from "../backend/support.ts";

/** With an engine that answers as told, or none. */
async function chosen(changes: Partial<StartInputs>, engine: "linux" | "windows" | "none"): Promise<string> {
  const address =
    engine === "none"
      ? "unix:///nonexistent/docker.sock"
      : (await fakeEngine(() => undefined, { "api-version": "1.47", ostype: engine })).address;
  const { deps } = machine({ env: { DOCKER_HOST: address } });
  return await chooseRuntime({ ...readStartInputs(() => ""), ...changes }, deps);
}

describe("the runtime", () => {
  it.each([
    ["linux", "docker"],
    ["windows", "binary"],
    ["none", "binary"],
  ] as const)("auto, on a machine with engine %s, is %s", async (engine, runtime) => {
    expect(await chosen({ runtime: "auto" }, engine)).toBe(runtime);
  });

  it("auto is the binary where one is given, also beside an engine that could run the image", async () => {
    expect(await chosen({ runtime: "auto", binaryPath: "./convex-local-backend" }, "linux")).toBe("binary");
  });

  it.each(["docker", "binary"] as const)("is %s where that is said", async (runtime) => {
    expect(await chosen({ runtime }, runtime === "docker" ? "none" : "linux")).toBe(runtime);
  });

  it.each(["docker", "auto"] as const)(
    "is the service container where one is named, with runtime: %s",
    async (runtime) => {
      expect(await chosen({ runtime, serviceContainer: "abc" }, "linux")).toBe("service-container");
    },
  );
});

describe("asPlaceError", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  it("names a full disk instead of calling it a defect", () => {
    expect(asPlaceError(full, "/tmp/x")).toMatchObject({ code: "temp-unusable", cause: full });
  });
  it("leaves errors that have an explanation of their own, and those of another kind, as they are", () => {
    const own = new ActionError("port-taken", "what", "hint", { cause: full });
    const other = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    expect(asPlaceError(own, "/tmp/x")).toBe(own);
    expect(asPlaceError(other, "/tmp/x")).toBe(other);
  });
});

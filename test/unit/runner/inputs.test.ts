import { describe, expect, it } from "vitest";
import { Inputs, inputsOf } from "../../../src/runner/inputs.ts";

const of = (values: Record<string, string>): Inputs => new Inputs((name) => values[name] ?? "");

describe("inputsOf", () => {
  it("finds an input as the runner hands it over", () => {
    expect(inputsOf({ "INPUT_SITE-PORT": "7" })("site-port")).toBe("7");
  });
});

describe("Inputs", () => {
  it.each(["true", "True", "TRUE"])("takes %s for true", (value) => {
    expect(of({ deploy: value }).boolean("deploy", false)).toBe(true);
  });
  it.each(["yes", "1", "on", "ture", "FaLse"])("refuses %s as a boolean and names what is allowed", (value) => {
    expect(() => of({ deploy: value }).boolean("deploy", true)).toThrow(`deploy: "${value}" is not accepted.`);
  });
  it("falls back only when nothing is written", () => {
    expect(of({ deploy: " " }).boolean("deploy", true)).toBe(true);
    expect(of({}).choice("pull", ["missing", "never"], "missing")).toBe("missing");
  });
  it("names the choices", () => {
    try {
      of({ runtime: "podman" }).choice("runtime", ["docker", "binary"], "docker");
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "input-invalid", hint: "Allowed: docker, binary." });
    }
  });
  it.each(["-1", "65536", "3210.0", "0x10", "1e3"])("refuses the port %s", (value) => {
    expect(() => of({ port: value }).integer("port", { least: 0, most: 65_535 }, 1)).toThrow(/port: /);
  });
  it.each([
    ["90", 90_000],
    ["45s", 45_000],
    ["2m", 120_000],
    ["5h", 18_000_000],
    ["2d", 172_800_000],
  ])("reads the duration %s", (value, ms) => {
    expect(of({ t: value }).duration("t", 1)).toBe(ms);
  });
  it("takes an age that no timer holds", () => {
    expect(of({ t: "31d" }).age("t", 1)).toBe(31 * 86_400_000);
  });
  it.each(["0", "5w", "1.5h", "-3", "soon", "25d", "999999d"])("refuses the duration %s", (value) => {
    expect(() => of({ t: value }).duration("t", 1)).toThrow(/t: /);
  });
  it.each(["http://x/", "http://x/path", "x.example", "ftp://x", "http://x?q", "https://u:p@x"])(
    "refuses the origin %s",
    (value) => {
      expect(() => of({ o: value }).origin("o")).toThrow(/^o: /);
    },
  );
  it("never repeats credentials of a refused origin", () => {
    expect(() => of({ o: "https://user:hunter22@x" }).origin("o")).toThrow(/^(?!.*hunter22)/);
  });
  it("drops comments and blanks of lists", () => {
    expect(of({ run: "\n  a:b {}  \r\n# no\n\nc:d\n" }).lines("run")).toEqual(["a:b {}", "c:d"]);
    expect(of({ names: " A, B\nC " }).words("names")).toEqual(["A", "B", "C"]);
  });
  it("sends what is near the limit of the environment to a file", () => {
    expect(() => of({ env: "x".repeat(121 * 1024) }).raw("env")).toThrow(/128 KiB/);
  });
  it("refuses a secret that cannot be masked, without repeating it", () => {
    expect(() => of({ s: "abc1234" }).secret("s")).toThrow(/^s has 7 characters; (?!.*abc1234)/);
  });
});

import { describe, expect, it } from "vitest";
import { BackendError } from "../../../src/deployment/backend-error.ts";
import { planVariables, type VariableSources, variableRefusal } from "../../../src/deployment/variables.ts";
import { ActionError } from "../../../src/runner/errors.ts";

const plan = (from: Partial<VariableSources>): ReturnType<typeof planVariables> =>
  planVariables({ envFiles: [], envNames: [], stepEnv: {}, ...from });

function refusal(from: Partial<VariableSources>): ActionError {
  try {
    plan(from);
  } catch (error) {
    expect(error).toBeInstanceOf(ActionError);
    return error as ActionError;
  }
  return expect.unreachable();
}

describe("the order", () => {
  it("is env-file < env < env-names < auth, and is told", () => {
    const { values, sources, notices } = plan({
      envFiles: [
        { path: "a.env", text: "A=file\nB=file\nC=file\nD=file" },
        { path: "b.env", text: "A=second" },
      ],
      env: "B=env\nC=env\nD=env",
      envNames: ["C", "D"],
      stepEnv: { C: "names", D: "names" },
      auth: { D: "auth" },
    });
    expect(Object.fromEntries(values)).toEqual({ A: "second", B: "env", C: "names", D: "auth" });
    expect(sources.get("A")).toBe("env-file b.env");
    expect(notices).toContain("A: the value of env-file b.env replaces that of env-file a.env.");
    expect(notices).toContain("D: the value of auth replaces that of env-names.");
  });
});

describe("env-names", () => {
  it("pass values byte for byte", () => {
    const value = '  "quotes" # and\r\nlines\u0000 ';
    expect(plan({ envNames: ["A"], stepEnv: { A: value } }).values.get("A")).toBe(value);
  });

  it("leave out what is empty or unset, with a notice", () => {
    const { values, leftOut, notices } = plan({ envNames: ["A", "B"], stepEnv: { B: "" } });
    expect(values.size).toBe(0);
    expect(leftOut).toEqual(["A", "B"]);
    expect(notices[0]).toContain("A, B left out: empty or unset");
  });

  it("are an error where auth.config reads one, unless another source has it", () => {
    const authReads = [{ name: "A" }];
    expect(refusal({ envNames: ["A"], authReads }).code).toBe("auth-variable-missing");
    expect(plan({ envNames: ["A"], env: "A=1", authReads }).values.get("A")).toBe("1");
  });

  it("leave out what is for the CLI", () => {
    const { values, notices } = plan({ envNames: ["CONVEX_DEPLOY_KEY"], stepEnv: { CONVEX_DEPLOY_KEY: "x" } });
    expect(values.size).toBe(0);
    expect(notices[0]).toContain("CONVEX_DEPLOY_KEY left out");
  });
});

describe("masks", () => {
  it("are for values of env-names from eight characters on, and for every PEM", () => {
    const pem = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----";
    const { masks, notices } = plan({
      env: `OPEN=12345678\nPEM="${pem}"`,
      envNames: ["LONG", "SHORT"],
      stepEnv: { LONG: "12345678", SHORT: "1234567" },
    });
    expect([...masks].sort()).toEqual([pem, "12345678"].sort());
    expect(notices).toContain("env-names: SHORT pushed unmasked: masking fewer than 8 characters would spoil the log.");
  });
});

describe("env-secrets", () => {
  it("come after env and before env-names, and every value is masked, a short one told", () => {
    const { values, masks, notices } = plan({
      env: "A=env\nB=env",
      envSecrets: 'A="long enough"\nB=later\nC=short',
      envNames: ["B"],
      stepEnv: { B: "from the step" },
    });
    expect(Object.fromEntries(values)).toEqual({ A: "long enough", B: "from the step", C: "short" });
    expect([...masks].sort()).toEqual(["from the step", "long enough"]);
    expect(notices.join()).toContain("env-secrets: C pushed unmasked");
  });

  it("are named in an error without their text", () => {
    const error = refusal({ envSecrets: "A='never closed sentinel" });
    expect(error.message).toContain("env-secrets");
    expect(error.message).not.toContain("sentinel");
  });
});

describe("what every release refuses (contract 4.1)", () => {
  it.each([
    [{ env: "1BAD=x" }, "env-name-invalid", '"1BAD"'],
    [{ env: "MY-VAR=x\nA.B=y" }, "env-name-invalid", '"A.B"'],
    [{ env: `${"A".repeat(257)}=x` }, "env-name-too-long", "257 bytes"],
    [{ env: "CONVEX_CLOUD_URL=x" }, "env-name-reserved", "CONVEX_CLOUD_URL"],
    [
      { env: `CERT="${"é".repeat(4557)}"` },
      "env-value-too-long",
      "CERT is 9,114 bytes; the backend takes 8,192 at most.",
    ],
    [{ env: Array.from({ length: 1001 }, (_, index) => `N${index}=1`).join("\n") }, "env-too-many", "1,001"],
  ] as [Partial<VariableSources>, string, string][])("%#", (from, code, text) => {
    const error = refusal(from);
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
  });

  it("is named all at once", () => {
    const error = refusal({ env: `1BAD=x\nBIG=${"x".repeat(8193)}\nCONVEX_CLOUD_URL=y\nOK=1` });
    expect(error.code).toBe("env-name-invalid");
    for (const name of ["1BAD", "BIG", "CONVEX_CLOUD_URL"]) expect(error.message).toContain(name);
    expect(error.message).not.toContain("OK");
  });

  it("stops there: the limits themselves and odd names pass", () => {
    const env = `A=${"x".repeat(8192)}\n${"B".repeat(256)}=1\n_=1\nPATH=1\n${Array.from({ length: 996 }, (_, index) => `N${index}=1`).join("\n")}`;
    expect(plan({ env }).values.size).toBe(1000);
  });
});

describe("a refusal of the backend", () => {
  const refused = (backendCode: string): string =>
    variableRefusal(
      new BackendError("backend-refused", `POST x answers 400 ${backendCode}: It does not fit.`, "", {
        status: 400,
        backendCode,
      }),
    ).text;
  it.each([
    ["InvalidEnvironmentVariable", "env-value-invalid"],
    ["RequiredEnvironmentVariable", "env-required"],
  ])("of newer releases, %s, ends in an error of ours", (theirs, ours) => {
    expect(refused(theirs)).toMatch(new RegExp(`^\\[${ours}\\] .* none was set: It does not fit\\.`));
  });
  it("that is not known is shown as it is", () => {
    expect(refused("SomethingNewer")).toContain("[backend-refused]");
  });
});

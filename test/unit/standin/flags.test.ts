import { describe, expect, it } from "vitest";
import { CommandLineError } from "../../standin/clap.ts";
import { parseCommand } from "../../standin/flags.ts";

const usual =
  "--instance-name lab --instance-secret 00 --port 1 --site-proxy-port 2 --local-storage s db.sqlite3".split(" ");

function refusal(argv: string[], env: NodeJS.ProcessEnv = {}): string {
  try {
    parseCommand(argv, env);
  } catch (error) {
    if (error instanceof CommandLineError) return error.message;
    throw error;
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
}

describe("the command line (contract 1.1)", () => {
  it("reads flags in both forms and fills in defaults", () => {
    const command = parseCommand(["--port=7", "-i", "127.0.0.1", "x.sqlite3"], {});
    expect(command).toMatchObject({
      kind: "run",
      flags: {
        port: 7,
        sitePort: 3211,
        interface: "127.0.0.1",
        dbSpec: "x.sqlite3",
        localStorage: "convex_local_storage",
      },
    });
  });

  it("leaves the storage directory out with --s3-storage", () => {
    expect(parseCommand(["--s3-storage"], {})).toMatchObject({ flags: { localStorage: undefined } });
  });

  it.each([
    [["--nope"], "error: unexpected argument '--nope' found"],
    [[...usual, "second"], "error: unexpected argument 'second' found"],
    [[...usual, "--port", "3"], "error: the argument '--port <PORT>' cannot be used multiple times"],
    [["--disable-beacon", "--disable-beacon"], "error: the argument '--disable-beacon' cannot be used multiple times"],
    [["--port", "70000"], "error: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535"],
    [["--port", "x"], "error: invalid value 'x' for '--port <PORT>': invalid digit found in string"],
    [["--interface", "::1"], "error: invalid value '::1' for '--interface <INTERFACE>': invalid IPv4 address syntax"],
    [["--db", "oracle"], "error: invalid value 'oracle' for '--db <DB>'"],
    [["--instance-name", "-x-"], "error: unexpected argument '-x' found"],
    [["--port"], "error: a value is required for '--port <PORT>' but none was supplied"],
    [["keygen", "admin-key"], "error: unexpected argument 'admin-key' found"],
  ])("refuses %j", (argv, firstLine) => {
    const text = refusal(argv);
    expect(text.split("\n")[0]).toBe(firstLine);
    expect(text.endsWith("For more information, try '--help'.")).toBe(true);
  });

  it("names what is missing, with the arguments in clap's order", () => {
    expect(refusal("--instance-name lab --interface 127.0.0.1 db.sqlite3".split(" "))).toBe(
      "error: the following required arguments were not provided:\n  --instance-secret <INSTANCE_SECRET>\n\n" +
        "Usage: convex-local-backend --instance-name <INSTANCE_NAME> --instance-secret <INSTANCE_SECRET> --interface <INTERFACE> <DB_SPEC>\n\n" +
        "For more information, try '--help'.",
    );
    expect(refusal(["--convex-site", "http://x"])).toContain("  --convex-origin <CONVEX_ORIGIN>\n");
  });

  it("does not take two storages", () => {
    expect(refusal([...usual, "--s3-storage"]).split("\n")[0]).toBe(
      "error: the argument '--local-storage <LOCAL_STORAGE>' cannot be used with '--s3-storage'",
    );
  });

  it.each([
    ["true", false],
    ["1", false],
    ["YES", false],
    ["false", true],
    ["off", true],
  ])("reads DISABLE_BEACON=%s", (value, beacon) => {
    expect(parseCommand([], { DISABLE_BEACON: value })).toMatchObject({ flags: { beacon } });
  });

  it("refuses an empty or unknown DISABLE_BEACON, but not next to the flag", () => {
    expect(refusal([], { DISABLE_BEACON: "" })).toContain(
      "invalid value '' for '--disable-beacon': value was not a boolean",
    );
    expect(refusal([], { DISABLE_BEACON: "maybe" })).toContain("value was not a boolean");
    expect(parseCommand(["--disable-beacon"], { DISABLE_BEACON: "nonsense" })).toMatchObject({
      flags: { beacon: false },
    });
  });

  it("has keygen and asks for its arguments only as a newer release", () => {
    const head = ["keygen", "admin-key", "--like", "head"];
    expect(parseCommand([...head, "--instance-name", "a", "--instance-secret", "b"], {})).toEqual({
      kind: "keygen",
      instanceName: "a",
      instanceSecret: "b",
    });
    expect(refusal(head)).toContain("--instance-secret <INSTANCE_SECRET>");
  });
});

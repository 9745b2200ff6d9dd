import { describe, expect, it } from "vitest";
import { parseJson } from "../../standin/json.ts";
import { array, object, oneOf, optional, string, u64 } from "../../standin/shapes.ts";

const changes = object("UpdateEnvVarsRequest", {
  changes: array(object("Change", { name: string, value: optional(string) })),
});
const mixed = object("Mixed", { word: optional(oneOf("append", "replace", "replaceAll")), n: optional(u64) });

// Texts of recordings (contract 3.1): the column counts what the backend's parser has read.
describe("errors of request bodies", () => {
  it.each([
    [
      '{"changes":[{"name":"X","value":5}]}',
      "changes[0].value: invalid type: integer `5`, expected a string at line 1 column 33",
    ],
    ["{}", "missing field `changes` at line 1 column 2"],
    ["[]", "invalid length 0, expected struct UpdateEnvVarsRequest with 1 element at line 1 column 2"],
    ['{"changes":[{"value":"x"}]}', "changes[0]: missing field `name` at line 1 column 25"],
    ['{"changes":null}', "changes: invalid type: null, expected a sequence at line 1 column 15"],
  ])("%s: %s", (text, message) => {
    expect(() => changes.decode(parseJson(text), "")).toThrow(message);
  });

  it("names the choices and the ranges", () => {
    const decode = (text: string) => () => mixed.decode(parseJson(text), "");
    expect(decode('{"word":"x"}')).toThrow("unknown variant `x`, expected one of `append`, `replace`, `replaceAll`");
    expect(decode('{"n":"5"}')).toThrow('n: invalid type: string "5", expected u64 at line 1 column 8');
    expect(decode('{"n":-1}')).toThrow("n: invalid value: integer `-1`, expected u64 at line 1 column 7");
    expect(decode('{"n":18446744073709551615,"unknown":1}')()).toEqual({ word: undefined, n: 18446744073709551615n });
  });
});

describe("errors of JSON itself", () => {
  it.each([
    ['{"path":', "EOF while parsing a value at line 1 column 8"],
    ["", "EOF while parsing a value at line 1 column 0"],
    ["hello", "expected value at line 1 column 1"],
    ['{"a":1} x', "trailing characters at line 1 column 9"],
    ['{"a" 1}', "expected `:` at line 1 column 6"],
    ['{\n"a":1,}', "trailing comma at line 2 column 7"],
    ['["abc', "EOF while parsing a string at line 1 column 5"],
  ])("%j: %s", (text, message) => {
    expect(() => parseJson(text)).toThrow(message);
  });

  it("gives up on what is nested too deeply", () => {
    expect(parseJson("[".repeat(127) + "]".repeat(127)).items).toBeDefined();
    expect(() => parseJson("[".repeat(100_000))).toThrow("recursion limit exceeded at line 1 column 128");
  });

  it("reads what JSON.parse reads", () => {
    const text = '{"a":[1,-2.5e3,"x\\"\\u00e9\\n",null,true,{}],"__proto__":{"b":[]},"":""}';
    expect(JSON.stringify(parseJson(text).value)).toBe(JSON.stringify(JSON.parse(text)));
  });
});

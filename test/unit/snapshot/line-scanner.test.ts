import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as FLAG from "../../../src/snapshot/line-flags.ts";
import { scan } from "../../support/scanned.ts";

const START = '"_creationTime":1795400000001.5,"_id":"j57000000400000028t00000018js8sq"';

/** Names of the flags of one line. */
function flagsOf(line: string): string[] {
  const [scanned, ...more] = scan([Buffer.from(line)]);
  expect(more).toEqual([]);
  return Object.entries(FLAG).flatMap(([name, bit]) => (((scanned?.flags ?? 0) & bit) === 0 ? [] : [name]));
}

const field = (text: string): string[] => flagsOf(`{${START},${text}}`);

/** JSON as no backend writes it: any order, any blanks. */
const blanks = fc.constantFrom("", "", " ", "\t ");
const json = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("null", "true", "false", "0.5", "-0.0", "1e21", '""', '"a\\"b\\\\"', '"\\u00e9\\ud83d\\ude00"'),
    fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)),
    fc.tuple(blanks, fc.array(tie("value"))).map(([gap, all]) => `[${gap}${all.join(`${gap},${gap}`)}${gap}]`),
    fc
      .tuple(
        blanks,
        fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z ]{1,9}$/), tie("value")), { selector: ([k]) => k }),
      )
      .map(([gap, all]) => `{${gap}${all.map(([k, v]) => `"${k}"${gap}:${gap}${v}`).join(`${gap},${gap}`)}${gap}}`),
  ),
})).value;

describe("whether a line is JSON", () => {
  it("is told as JSON.parse does, in whatever order and with whatever blanks", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(field(`"v":${value}`)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("is told as JSON.parse does for lines with one byte changed", () => {
    const alphabet = [...'{}[]":,\\0123.eE+-tfn \u0001é'];
    fc.assert(
      fc.property(json, fc.nat(), fc.constantFrom(...alphabet), (value, place, letter) => {
        const line = `{${START},"v":${value}}`;
        const at = place % line.length;
        const changed = line.slice(0, at) + letter + line.slice(at + 1);
        const flags = flagsOf(changed);
        expect(flags.includes("broken"), changed).toBe(!isJson(changed));
      }),
      { numRuns: 2000 },
    );
  });

  it("is told as JSON.parse does wherever the line is cut", () => {
    const line = `{${START},"a":[1.5,"x\\u00e9",{"b":null}],"c":{"$bytes":"AAH+/w=="},"d":-1e-7}`;
    for (let length = 1; length < line.length; length += 1) expect(flagsOf(line.slice(0, length))).toContain("broken");
    expect(flagsOf(line)).toEqual(["wrapped"]);
  });
});

/** What the scanner refuses although JSON.parse takes it: halves of surrogate pairs. */
function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return !/\\u[dD][89a-fA-F]/.test(line.replace(/\\u[dD][89abAB]..\\u[dD][c-fC-F]../g, "").replace(/\\\\/g, ""));
  } catch {
    return false;
  }
}

describe("what a line has", () => {
  it.each([
    ['"a":1', ["integer"]],
    ['"a":9223372036854775807', ["integer"]],
    ['"a":9223372036854775808', ["integerTooLarge", "integer"]],
    ['"a":-9223372036854775808', ["integer"]],
    ['"a":1e400', ["numberTooLarge"]],
    [`"a":${"9".repeat(310)}.5`, ["numberTooLarge"]],
    ['"a":1e+21', ["foreignNumber"]],
    ['"a":1.0,"a":2.0', ["keyTwice"]],
    ['"b":1.0,"a":2.0,"c":{"y":"\\"","x":["]}"],"y":null}', ["keyTwice"]],
    ['"b":{"a":1.0},"a":{"b":1.0},"c":"\\"a\\":"', []],
    ['"a\\"":1.0,"a\\"":2.0', ["keyTwice"]],
    ['"a\\u0062":1.0,"ab":2.0', ["fieldName"]],
    ['"é":1.0', ["fieldName"]],
    ['"a\u007f":1.0', ["fieldName"]],
    ['"$a":1.0', ["reserved"]],
    ['"a":{"$bytes":"AAH"}', ["wrapped", "badValue"]],
    ['"a":{"$float":"AAAAAAAA8D8="}', ["wrapped", "badValue"]],
    ['"a":{"$bytes":"AAH+/w==","b":null}', ["reserved"]],
    ['"_a":1.0', ["underscore"]],
    ['"a":{"_a":1.0}', []],
    [`"a":[${"0.5,".repeat(8191)}0.5]`, []],
    [`"a":[${"0.5,".repeat(8192)}0.5]`, ["arrayTooLong"]],
    [`"a":${"[".repeat(64)}${"]".repeat(64)}`, []],
    [`"a":${"[".repeat(66)}0.5${"]".repeat(66)}`, ["tooDeep"]],
    [`"a":${"[".repeat(5000)}${"]".repeat(5000)}`, ["tooDeep"]],
  ])("%.40s", (text, flags) => expect(field(text)).toEqual(flags));

  it("is the same whatever the order of _id and _creationTime", () => {
    expect(flagsOf('{"_id":"j57000000400000028t00000018js8sq","_creationTime":1795400000001.5}')).toEqual([]);
    expect(flagsOf('{"A":null,"_creationTime":1795400000001.5,"_id":"j57000000400000028t00000018js8sq"}')).toEqual([]);
    expect(flagsOf(`{${START}}`)).toEqual([]);
    expect(flagsOf(`{${START},"_id":"j57000000400000028t00000018js8sq"}`)).toEqual(["keyTwice"]);
  });

  it.each([
    ['{"_creationTime":1795400000001,"_id":"j57000000400000028t00000018js8sq"}', ["timeInteger", "integer"]],
    ['{"_creationTime":-1.5,"_id":"j57000000400000028t00000018js8sq"}', ["timeInvalid"]],
    ['{"_creationTime":0.0,"_id":"j57000000400000028t00000018js8sq"}', ["timeInvalid"]],
    ['{"_creationTime":"1","_id":"j57000000400000028t00000018js8sq"}', ["timeInvalid"]],
    ['{"_id":"j57000000400000028t00000018js8sq"}', ["timeMissing"]],
    ['{"_creationTime":1.5}', ["idMissing"]],
    ['{"_creationTime":1.5,"_id":"j57000000400000028t00000018js8sr"}', ["idInvalid"]],
    ['{"_creationTime":1.5,"_id":7.5}', ["idInvalid"]],
    ["{}", ["timeMissing", "idMissing"]],
    ["[1.5]", ["notObject"]],
    ['"x"', ["notObject"]],
    ["{} {}", ["broken"]],
  ])("%s", (line, flags) => expect(flagsOf(line)).toEqual(flags));
});

describe("names of fields", () => {
  const names = fc.array(fc.stringMatching(/^[ab !$]{1,6}$/), { minLength: 1, maxLength: 6 });

  it("are found twice, or reserved, in whatever order they are and however alike", () => {
    fc.assert(
      fc.property(names, fc.boolean(), (all, sorted) => {
        const order = sorted ? all.toSorted() : all;
        const flags = field(`"v":{${order.map((name) => `"${name}":1.0`).join()}}`);
        expect(flags.includes("keyTwice"), order.join()).toBe(new Set(all).size < all.length);
        expect(flags.includes("reserved"), order.join()).toBe(all.some((name) => name.startsWith("$")));
      }),
      { numRuns: 3000 },
    );
  });
});

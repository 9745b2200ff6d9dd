import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as FLAG from "../../../src/snapshot/line-flags.ts";
import { scanPlainly } from "../../support/plain-scanner.ts";
import { scan, scanPieces } from "../../support/scanned.ts";

const ID = "j57000000400000028t00000018js8sq";
const OTHER_ID = "jd7000000400000028t00000018js9av";

const text = fc.oneof(
  fc.constantFrom(
    '""',
    '"a\\"b\\\\"',
    '"\\u00e9\\ud83d\\ude00"',
    '"\\ud800"',
    `"${"x".repeat(15)}\\n${"y".repeat(17)}"`,
  ),
  fc.string({ unit: "grapheme" }).map((all) => JSON.stringify(all)),
);
const number = fc.oneof(
  fc.constantFrom("0", "-0.0", "01", "1.", "-", "1e+21", "1E400", "1e-400", "1e99", "9223372036854775807"),
  fc.constantFrom("9223372036854775808", "-9223372036854775809", `${"9".repeat(310)}`, `1${"0".repeat(250)}.5e99`),
  fc.double({ noDefaultInfinity: true, noNaN: true }).map(String),
  fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }).map(String),
);
const wrapped = fc
  .tuple(
    fc.constantFrom("$bytes", "$float", "$integer", "$other"),
    fc.constantFrom("", "AAH+/w==", "AAH", "AAAAAAAA8D8=", "AAAAAAAA+H8=", "====", "AQAAAAAAAAA=", "\u00e9"),
    fc.constantFrom("", ' ,"b":null', " "),
  )
  .map(([name, value, behind]) => `{"${name}":"${value}"${behind}}`);
const blanks = fc.constantFrom("", "", "", " ", "\t \r");
const name = fc.oneof(
  fc.constantFrom(
    "a",
    "ab",
    "abc",
    "createdAt",
    "createdBy",
    "createdByUser",
    "_id",
    "_creationTime",
    "_x",
    "$a",
    "",
    " ",
  ),
  fc.constantFrom("a\\u0062", 'a\\"', "\u00e9", "a\u007f", "a!", "a#", "abcdefgh!", 'abcdefgh"'),
  fc.stringMatching(/^[ab !$_]{1,9}$/),
);
const list = (open: string, items: readonly string[], close: string, gap: string): string =>
  `${open}${gap}${items.join(`${gap},${gap}`)}${gap}${close}`;

const { value, object } = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("null", "true", "false", "nul", "[]", "{}", `${"[".repeat(66)}1.0${"]".repeat(66)}`),
    text,
    number,
    wrapped,
    fc.tuple(fc.array(tie("value")), blanks).map(([all, gap]) => list("[", all, "]", gap)),
    tie("object"),
  ),
  object: fc.tuple(fc.array(fc.tuple(name, tie("value"))), blanks, fc.boolean()).map(([fields, gap, sorted]) => {
    const order = sorted ? fields.toSorted(([a], [b]) => (a < b ? -1 : 1)) : fields;
    return list(
      "{",
      order.map(([key, each]) => `"${key}"${gap}:${gap}${each}`),
      "}",
      gap,
    );
  }),
}));

const time = fc.constantFrom("1795400000001.5", "1795400000001", "0.0", "0.5", "-1.5", '"1"', `${"1".repeat(301)}.5`);
const id = fc.constantFrom(ID, OTHER_ID, `${ID.slice(0, -1)}r`, "kg2000000400000028t00000018jrs0k", "", "7");
const usual = fc
  .tuple(time, id, fc.array(fc.tuple(name, value)))
  .map(([created, own, fields]) =>
    list(
      "{",
      [`"_creationTime":${created}`, `"_id":"${own}"`, ...fields.map(([key, each]) => `"${key}":${each}`)],
      "}",
      "",
    ),
  );
const line = fc.oneof(usual, usual, object, value).map((each) => Buffer.from(each));

/** Up to three times: bytes replaced, left out or put in. */
const damaged = fc
  .tuple(
    line,
    fc.array(
      fc.record({
        at: fc.nat(),
        length: fc.nat({ max: 3 }),
        by: fc.oneof(
          fc.constantFrom(...'{}[]":,\\0123.eE+-tfn_$ \t\r\u0001\u00e9').map((letter) => Buffer.from(letter)),
          fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
        ),
      }),
      { maxLength: 3 },
    ),
  )
  .map(([whole, damages]) => {
    const apply = (bytes: Buffer, { at, length, by }: { at: number; length: number; by: Buffer }): Buffer => {
      const place = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, place), by, bytes.subarray(place + length)]);
    };
    return Buffer.from(
      damages.reduce(apply, whole).toString("latin1").replace(/\n/g, "").replace(/\r+$/, ""),
      "latin1",
    );
  });

/** Flags that belong to the JSON of a line. */
const JSON_FLAGS = ~0b11111;

function expectAgreement(bytes: Buffer): void {
  const [scanned] = scan([bytes]);
  const { flags, idTable } = scanPlainly(bytes);
  const broken = (flags & (FLAG.broken | FLAG.tooDeep)) !== 0;
  // how far a broken line was read tells which values and which id were seen
  const read = broken ? ~(FLAG.wrapped | FLAG.integer) : -1;
  expect(
    {
      flags: (scanned?.flags ?? 0) & JSON_FLAGS & read,
      length: (scanned?.end ?? 0) - (scanned?.start ?? 0),
      idTable: broken ? 0 : scanned?.idTable,
    },
    bytes.toString(),
  ).toEqual({ flags: flags & read, length: bytes.length, idTable: broken ? 0 : idTable });
}

describe("the scanner agrees with a plain one", () => {
  it("about lines as a backend writes them, and others", () => {
    fc.assert(
      fc.property(line, (bytes) => {
        if (bytes.length > 0) expectAgreement(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it("about damaged ones", () => {
    fc.assert(
      fc.property(damaged, (bytes) => {
        if (bytes.length > 0) expectAgreement(bytes);
      }),
      { numRuns: 6000 },
    );
  });
});

describe("pieces", () => {
  const odd = fc.constantFrom("", "\r", "{}\r", "\ufeff{}").map((each) => Buffer.from(each));
  const cuts = fc.array(fc.nat(), { maxLength: 12 });

  it("say the same wherever a table is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(line, damaged, odd)), fc.boolean(), cuts, (lines, finished, places) => {
        const ends = lines.map((_, i) => Buffer.from(finished || i < lines.length - 1 ? "\n" : ""));
        const whole = Buffer.concat(lines.flatMap((each, i) => [each, ends[i] ?? each]));
        const borders = [
          0,
          ...places.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b),
          whole.length,
        ];
        const pieces = borders.slice(1).map((border, i) => whole.subarray(borders[i], border));
        expect(scanPieces(pieces)).toEqual(scanPieces([whole]));
      }),
      { numRuns: 500 },
    );
  });

  it("hold lines up to 8 MiB, and skip a longer one to its end", () => {
    const most = 8 * 1024 * 1024;
    const pieceBytes = 65_536;
    for (const length of [most - 1, most, most + 1, most + 64, most + 65, most + 100_000, 3 * most]) {
      const bytes = Buffer.from(`{"a":"${"x".repeat(length - 8)}"}\n`);
      const starts = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) => i * pieceBytes);
      const pieces = starts.map((start) => bytes.subarray(start, start + pieceBytes));
      const { facts } = scanPieces([...pieces, Buffer.from("[]\n")]);
      expect(facts.documents, `${length}`).toBe(length > most ? 1 : 2);
      expect(facts.found.some(({ kind }) => kind === "line-too-long")).toBe(length > most);
      expect(facts.found.at(-1)).toEqual({ kind: "json-not-object", line: 2, count: 1 });
    }
  });
});

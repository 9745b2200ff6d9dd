import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Value } from "../../standin/types.ts";
import { compare, encode, equal, floatText, fromJson, parseExport } from "../../standin/values.ts";

const bytes = (...content: number[]) => new Uint8Array(content).buffer;

describe("texts of values (contract 6.2, 7.2)", () => {
  it.each([
    [0, "0.0"],
    [-0, "-0.0"],
    [1, "1.0"],
    [0.5, "0.5"],
    [1 / 3, "0.3333333333333333"],
    [2 ** 53, "9007199254740992.0"],
    [1e21, "1e21"],
    [Number.MAX_VALUE, "1.7976931348623157e308"],
    [5e-324, "5e-324"],
    [1000, "1000.0"],
    [1.2345678901234567e19, "1.2345678901234567e19"],
    [1795409473291.305, "1795409473291.305"],
  ])("writes Float64 %d as %s", (x, text) => {
    expect(floatText(x)).toBe(text);
  });

  it("writes each kind of value in each encoding, keys in byte order", () => {
    const value: Value = { z: 42n, bytes: bytes(0, 1, 254, 255), n: Number.NaN, Z: [-0, null, true], s: "é\u0000\n" };
    expect(encode(value, "json")).toBe(
      '{"Z":[-0.0,null,true],"bytes":"AAH+/w==","n":"NaN","s":"é\\u0000\\n","z":"42"}',
    );
    expect(encode(value, "convex_encoded_json")).toBe(
      '{"Z":[{"$float":"AAAAAAAAAIA="},null,true],"bytes":{"$bytes":"AAH+/w=="},"n":{"$float":"AAAAAAAA+H8="},' +
        '"s":"é\\u0000\\n","z":{"$integer":"KgAAAAAAAAA="}}',
    );
    expect(encode(value, "export_json")).toBe(
      '{"Z":[-0.0,null,true],"bytes":{"$bytes":"AAH+/w=="},"n":{"$float":"AAAAAAAA+H8="},"s":"é\\u0000\\n","z":42}',
    );
  });

  it("reads every plain number of arguments as Float64, and of snapshot lines by its point", () => {
    expect(fromJson([1, { $integer: "KgAAAAAAAAA=" }])).toEqual([1, 42n]);
    expect(parseExport("[1,1.0,-0.0,1e3,9223372036854775807]")).toEqual([1n, 1, -0, 1000, 9223372036854775807n]);
  });

  it("refuses reserved and foreign field names in the backend's words", () => {
    expect(() => fromJson({ $foo: 1 })).toThrow("Field name $foo starts with '$', which is reserved.");
    expect(() => parseExport('{"$integer":"KgAAAAAAAAA="}')).toThrow("Field name $integer starts with '$'");
    expect(() => parseExport('{"é":1}')).toThrow(
      "Field name é has invalid character 'é': Field names can only contain non-control ASCII characters",
    );
  });

  it("orders values by type, then by content", () => {
    const ordered: (Value | undefined)[] = [
      ...[undefined, null, -1n, 5n, Number.NEGATIVE_INFINITY, -0, 0, 1.5, Number.NaN, false, true],
      ...["", "a", "é", bytes(), bytes(1), [], [1n], { a: 1n }],
    ];
    const shuffled = [...ordered].reverse();
    // Array.prototype.sort puts undefined last whatever the comparison says.
    expect(shuffled.filter((v) => v !== undefined).sort(compare)).toEqual(ordered.slice(1));
    expect(compare(undefined, null)).toBeLessThan(0);
  });

  const leaf = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.string(),
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.uint8Array().map((content) => bytes(...content)),
  );
  const key = fc.stringMatching(/^[a-z][a-z0-9_ ]{0,5}$/);
  const { value } = fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      leaf as fc.Arbitrary<Value>,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));

  it("survives being written to a snapshot and read again", () => {
    fc.assert(fc.property(value, (v) => equal(parseExport(encode(v, "export_json")), v)));
  });

  it("survives being sent as arguments", () => {
    fc.assert(fc.property(value, (v) => equal(fromJson(JSON.parse(encode(v, "convex_encoded_json"))), v)));
  });
});

import { describe, expect, it } from "vitest";
import { checkInstanceSecret, generateInstanceSecret } from "../../../src/credentials/instance-secret.ts";
import { ActionError } from "../../../src/runner/errors.ts";

describe("the instance secret", () => {
  it("is 64 hex digits, never the same", () => {
    const one = generateInstanceSecret();
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(generateInstanceSecret()).not.toBe(one);
    expect(() => checkInstanceSecret(one)).not.toThrow();
    expect(() => checkInstanceSecret(one.toUpperCase())).not.toThrow();
  });

  it.each(["", "abc", "z".repeat(64), `${"a".repeat(64)}\n`, "a".repeat(63), "a".repeat(66), "a b".repeat(21)])(
    "is refused when it is %j, without being shown",
    (secret) => {
      try {
        checkInstanceSecret(secret);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(ActionError);
        expect((error as ActionError).code).toBe("instance-secret-invalid");
        if (secret.length > 3) expect((error as ActionError).text).not.toContain(secret.trim());
      }
    },
  );
});

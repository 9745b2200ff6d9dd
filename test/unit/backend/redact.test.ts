import { describe, expect, it } from "vitest";
import { redactor } from "../../../src/backend/redact.ts";

const clean = redactor([]);

describe("what looks like a secret in a backend's log", () => {
  it.each([
    ...["token", "uploadToken", "access_token", "key", "api_key", "apiKey", "X-Api-Key", "AWSAccessKeyId"],
    ...["secret", "client_secret", "password", "passwd", "code", "sig", "signature", "X-Amz-Signature"],
    ...["X-Amz-Credential", "KEY"],
  ])("is the value of the query parameter %s, first or later", (name) => {
    expect(clean(`GET /http/a?${name}=v4lue%2B HTTP/1.1`)).toBe(`GET /http/a?${name}=*** HTTP/1.1`);
    expect(clean(`GET /http/a?page=2&${name}=v4lue&state=1 200`)).toBe(`GET /http/a?page=2&${name}=***&state=1 200`);
    expect(clean(`{"url":"/http/a?${name}=v4lue"}`)).toBe(`{"url":"/http/a?${name}=***"}`);
  });

  it.each(["page=2", "state=1", "partNumber=3", "cursor=abc"])("is not that of %s", (pair) => {
    expect(clean(`GET /http/a?${pair} 200`)).toBe(`GET /http/a?${pair} 200`);
  });

  it.each([
    ["Authorization: Convex abc|01", "Authorization: Convex ***"],
    ['"authorization": "Bearer abc.def"', '"authorization": "Bearer ***"'],
    ["mysql://root:p@ss@db:3306/lab", "mysql://root:***@db:3306/lab"],
    ["postgresql://u:p:q/r@db", "postgresql://u:***@db"],
  ])("is in %s", (line, expected) => {
    expect(clean(line)).toBe(expected);
  });

  it("is found in a line of any length, of which only the beginning is kept", () => {
    const key = `name|${"0a".repeat(40)}`;
    const line = clean(`${key} ${"1-a.".repeat(100_000)}`);
    expect(line).toMatch(/^\*\*\* 1-a\./);
    expect(line).toContain("(400086 characters)");
    expect(line.length).toBeLessThan(17_000);
  });
});

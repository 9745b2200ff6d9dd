import { expect, it } from "vitest";
import { passwordsOf } from "../../../src/credentials/url-password.ts";

it.each([
  ["postgresql://me:pass%2Fword@db.example.com/app", ["pass%2Fword", "pass/word"]],
  ["mysql://me:p@ss?@db.example.com", ["p", "p@ss?"]],
  ["https://me:50%@example.com", ["50%"]],
  ["https://me:@example.com", []],
  [
    "postgresql://me:secret@db.example.com/app?application_name=a@b",
    ["secret", "secret@db.example.com/app?application_name=a"],
  ],
  ["postgresql://db.example.com/app?user=me&password=se%40cret&sslmode=require", ["se%40cret", "se@cret"]],
  ["https://me@example.com", []],
  ["https://api.example.com:8443/", []],
  ["no URL", []],
])("the password of %s is known as written and as meant", (url, passwords) => {
  expect(passwordsOf(url)).toEqual(passwords);
});

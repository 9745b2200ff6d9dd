import { describe, expect, it } from "vitest";
import { maskedForms } from "../../../src/runner/mask.ts";

describe("maskedForms", () => {
  it("covers the forms in which a secret turns up elsewhere", () => {
    const secret = 'p@ss "word"/1';
    const forms = maskedForms(secret);
    expect(forms).toContain(secret);
    expect(forms).toContain('p@ss \\"word\\"/1');
    expect(forms).toContain(Buffer.from(secret).toString("base64"));
    expect(forms).toContain(encodeURIComponent(secret));
  });
  it("masks the lines of a PEM, but not its frame, which is public", () => {
    const pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nabcdefgh12345678\n-----END PRIVATE KEY-----\n";
    const forms = maskedForms(pem);
    expect(forms).toContain("MIIEvQIBADANBgkq");
    expect(forms).toContain("abcdefgh12345678");
    expect(forms).not.toContain("-----BEGIN PRIVATE KEY-----");
  });
  it("masks the words of a PEM on one line", () => {
    const forms = maskedForms(
      "-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkq abcdefgh12345678 -----END PRIVATE KEY-----",
    );
    expect(forms).toContain("MIIEvQIBADANBgkq");
    expect(forms).not.toContain("PRIVATE");
  });
  it("leaves out forms that would spoil every log", () => {
    expect(maskedForms("true")).toEqual([]);
    expect(maskedForms("short\nlonger-than-eight").filter((form) => form.length < 8)).toEqual([]);
  });
});
